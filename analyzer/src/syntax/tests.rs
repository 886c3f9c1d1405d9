use super::*;

fn parsed(text: &str) -> Parsed {
    on_deep_stack(|| parse(text, FileId(0)))
}

fn names(items: &[ast::Item]) -> Vec<String> {
    let mut out = Vec::new();
    for item in items {
        match item {
            ast::Item::Contract(contract) => {
                out.push(contract.name.text.clone());
                out.extend(names(&contract.parts).into_iter().map(|name| format!("{}.{name}", contract.name.text)));
            }
            ast::Item::Function(function) => {
                let mark = if matches!(function.body, ast::Body::Broken) { "!" } else { "" };
                out.push(format!("{:?} {}{mark}", function.kind, function.name.text));
            }
            ast::Item::Variable(variable) => {
                out.push(format!("{}{}", if variable.is_transient { "transient " } else { "" }, variable.name.text));
            }
            _ => {}
        }
    }
    out
}

#[test]
#[ignore]
fn corpus() {
    for dir in std::env::args().skip_while(|a| a != "--").skip(1) {
        println!("{dir}");
    }
}
