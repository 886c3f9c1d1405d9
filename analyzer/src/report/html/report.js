"use strict";
(() => {
  const form = document.querySelector(".filters");
  if (!form) return;
  form.hidden = false;
  const articles = [...document.querySelectorAll("article")];
  const entries = new Map(
    [...document.querySelectorAll("nav li")].map((entry) => [entry.dataset.for, entry]),
  );
  const search = form.elements.namedItem("text");
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const shown = form.querySelector(".shown");
  const words = new Map(
    articles.map((article) => [
      article,
      (article.querySelector("h2").textContent + " " + article.querySelector(".facts").textContent).toLowerCase(),
    ]),
  );

  const visible = () => articles.filter((article) => !article.hidden);

  const filter = () => {
    const severities = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const wanted = search.value.trim().toLowerCase();
    for (const article of articles) {
      article.hidden = !severities.has(article.dataset.severity) || !words.get(article).includes(wanted);
      entries.get(article.id).hidden = article.hidden;
    }
    const count = visible().length;
    shown.textContent = count === articles.length ? "" : `${count} of ${articles.length} shown`;
  };

  let current = null;
  const mark = (article) => {
    if (current) entries.get(current.id).firstElementChild.removeAttribute("aria-current");
    current = article;
    const link = entries.get(article.id).firstElementChild;
    link.setAttribute("aria-current", "true");
    link.scrollIntoView({ block: "nearest" });
  };

  const go = (article) => {
    article.focus({ preventScroll: true });
    article.scrollIntoView();
    mark(article);
  };

  const step = (by) => {
    const list = visible();
    if (!list.length) return;
    const at = list.indexOf(current);
    const next = at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + by, 0), list.length - 1);
    go(list[next]);
  };

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    step(1);
  });
  document.querySelector("nav").addEventListener("click", (event) => {
    const entry = event.target.closest("li");
    if (entry) mark(document.getElementById(entry.dataset.for));
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      search.value = "";
      for (const box of boxes) box.checked = true;
      filter();
      search.blur();
      return;
    }
    if (event.target.closest("input")) return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "/") search.focus();
    else return;
    event.preventDefault();
  });
  const target = document.getElementById(location.hash.slice(1));
  if (target && articles.includes(target)) go(target);
})();
