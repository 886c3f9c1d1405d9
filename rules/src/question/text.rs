//! Questions from their text: `totalAssets()`, `slot(3)`, `owner() -> address`.

use ruint::aliases::U256;

use super::signature::{ViewCall, function_selector};
use super::{Holder, Place, Reading, ReadingSource};
use crate::condition::{read_address, read_digits};
use crate::facts::FactType;

/// Views of one reading, each called on what the one before returns.
const MAX_STEPS: usize = 3;
/// Functions named by one question.
const MAX_FUNCTIONS: usize = 128;

/// Reads `slot(3)`, `totalAssets()`, `asset().balanceOf(address this)`, each with `-> address` or `-> bool` where it
/// is no amount.
pub(crate) fn read_view(text: &str) -> Result<Reading, String> {
    let (source, ty) = match text.split_once("->") {
        None => (text, FactType::Uint),
        Some((source, ty)) => match ty.trim() {
            "uint" => (source, FactType::Uint),
            "address" => (source, FactType::Address),
            "bool" => (source, FactType::Bool),
            other => {
                return Err(format!(
                    "`{other}`: a reading is `-> uint`, `-> address` or `-> bool`"
                ));
            }
        },
    };
    let source = source.trim();
    if let Some(slot) = inside_of(source, "slot") {
        return Ok(Reading { of: None, source: ReadingSource::Slot(number(slot)?), ty });
    }
    let steps: Vec<ViewCall> = source
        .split(").")
        .map(|step| {
            let step = step.trim();
            if step.ends_with(')') {
                ViewCall::parse(step)
            } else {
                ViewCall::parse(&format!("{step})"))
            }
        })
        .collect::<Result<_, _>>()?;
    if steps.len() > MAX_STEPS {
        return Err(format!("at most {MAX_STEPS} views in a row"));
    }
    Ok(Reading { of: None, source: ReadingSource::Calls(steps), ty })
}

/// Reads `slot(3)` or `mapping(3)`.
pub(crate) fn read_changed(text: &str) -> Result<Place, String> {
    if let Some(slot) = inside_of(text, "slot") {
        return number(slot).map(Place::Slot);
    }
    if let Some(slot) = inside_of(text, "mapping") {
        return number(slot).map(Place::Mapping);
    }
    Err(format!("`{text}` is neither `slot(3)` nor `mapping(3)`"))
}

/// Reads `slot(0)`, `slot(0, 1)` or an address.
pub(crate) fn read_holder(text: &str) -> Result<Holder, String> {
    let Some(inside) = inside_of(text, "slot") else {
        return read_address(text.trim())
            .map(Holder::Account)
            .map_err(|_| format!("`{text}` is neither `slot(0)` nor an address"));
    };
    let (slot, offset) = inside.split_once(',').unwrap_or((inside, "0"));
    let offset_bytes = offset.trim().parse::<u8>().ok().filter(|offset| *offset <= 12);
    let Some(offset_bytes) = offset_bytes else {
        return Err(format!(
            "`{text}`: an address stands 0 to 12 bytes from the low end of a slot"
        ));
    };
    Ok(Holder::InSlot { slot: number(slot)?, offset_bytes })
}

/// Reads signatures, or selectors such as `0xa9059cbb`; sorted, without repetition.
pub(crate) fn read_functions(texts: &[String]) -> Result<Vec<[u8; 4]>, String> {
    if texts.len() > MAX_FUNCTIONS {
        return Err(format!("at most {MAX_FUNCTIONS} functions"));
    }
    let mut selectors =
        texts.iter().map(|text| selector_or_signature(text)).collect::<Result<Vec<_>, _>>()?;
    selectors.sort_unstable();
    selectors.dedup();
    Ok(selectors)
}

fn selector_or_signature(text: &str) -> Result<[u8; 4], String> {
    match text.trim().strip_prefix("0x") {
        Some(digits) if digits.len() == 8 => u32::from_str_radix(digits, 16)
            .map(u32::to_be_bytes)
            .map_err(|_| format!("`{text}` is not `0x` and 8 hexadecimal digits")),
        Some(_) => Err(format!("`{text}` is not `0x` and 8 hexadecimal digits")),
        None => function_selector(text),
    }
}

/// What stands inside of `word(…)`.
fn inside_of<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.trim().strip_prefix(word)?.trim_start().strip_prefix('(')?.strip_suffix(')')
}

/// Decimal digits, or `0x` and hexadecimal ones.
fn number(text: &str) -> Result<U256, String> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) if !digits.is_empty() && digits.len() <= 64 => {
            U256::from_str_radix(digits, 16).map_err(|_| format!("`{text}` is not a number"))
        }
        Some(_) => Err(format!("`{text}` is not a number of 256 bits")),
        None => read_digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{read_changed, read_functions, read_holder, read_view};
    use crate::facts::FactType;
    use crate::question::{Holder, Place, ReadingSource};
    use ruint::aliases::U256;

    #[test]
    fn views_may_follow_each_other() {
        let view = read_view("asset().balanceOf(address this)").unwrap();
        let ReadingSource::Calls(steps) = view.source else { panic!("calls") };
        assert_eq!((steps.len(), view.ty), (2, FactType::Uint));
        assert_eq!(read_view("owner() -> address").unwrap().ty, FactType::Address);
        let slot = read_view("slot(0x10) -> bool").unwrap();
        assert_eq!(slot.source, ReadingSource::Slot(U256::from(16)));
        for wrong in [
            "",
            "f",
            "f().g().h().i()",
            "f() -> string",
            "slot(x)",
            "slot()",
            "f(uint256)",
            "slot(0x)",
        ] {
            assert!(read_view(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_holders_and_functions_are_read() {
        assert_eq!(read_changed("slot(3)"), Ok(Place::Slot(U256::from(3))));
        assert_eq!(read_changed("mapping(3)"), Ok(Place::Mapping(U256::from(3))));
        assert!(read_changed("array(3)").is_err());
        let packed = Holder::InSlot { slot: U256::ZERO, offset_bytes: 1 };
        assert_eq!(read_holder("slot(0, 1)"), Ok(packed));
        assert!(read_holder("slot(0, 13)").is_err());
        assert!(read_holder("me").is_err());
        let functions = ["0xa9059cbb".to_owned(), "transfer(address,uint256)".to_owned()];
        assert_eq!(read_functions(&functions).unwrap().len(), 1);
        assert!(read_functions(&["0xa9".to_owned()]).is_err());
        assert!(read_functions(&vec!["f()".to_owned(); 129]).is_err());
    }
}
