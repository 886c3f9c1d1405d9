//! Solidity function signatures: their selectors, and calls with constant arguments.

use ruint::aliases::U256;
use sha3::{Digest as _, Keccak256};

use crate::condition::{read_address, read_digits};

/// Bytes of one signature, arguments included.
const MAX_SIGNATURE_BYTES: usize = 512;
/// Arguments of one call.
const MAX_ARGUMENTS: usize = 8;

/// A view with its constant arguments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewCall {
    /// First four bytes of the hash of the signature.
    pub selector: [u8; 4],
    /// One word each.
    pub arguments: Vec<Argument>,
}

/// One argument of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Argument {
    /// A constant.
    Word([u8; 32]),
    /// The address of the contract that is looked at.
    This,
}

impl ViewCall {
    /// The calldata, where `this` is the contract that is looked at.
    pub fn data(&self, this: [u8; 20]) -> Vec<u8> {
        let mut data = self.selector.to_vec();
        for argument in &self.arguments {
            match argument {
                Argument::Word(word) => data.extend_from_slice(word),
                Argument::This => {
                    data.extend_from_slice(&[0; 12]);
                    data.extend_from_slice(&this);
                }
            }
        }
        data
    }

    /// Reads `name(type value, …)`, such as `balanceOf(address this)` or `convertToAssets(uint256 1000000)`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, inside) = split(text)?;
        let mut types = Vec::new();
        let mut arguments = Vec::new();
        for argument in inside.split(',').map(str::trim).filter(|argument| !argument.is_empty()) {
            let Some((ty, value)) = argument.split_once(char::is_whitespace) else {
                return Err(format!(
                    "`{argument}`: an argument is a type and a value, as in `address this`"
                ));
            };
            arguments.push(word(ty, value.trim())?);
            types.push(ty);
        }
        if arguments.len() > MAX_ARGUMENTS {
            return Err(format!("`{name}`: at most {MAX_ARGUMENTS} arguments"));
        }
        Ok(Self { selector: hash4(&format!("{name}({})", types.join(","))), arguments })
    }
}

/// The selector of a signature such as `transfer(address,uint256)`.
pub(crate) fn function_selector(text: &str) -> Result<[u8; 4], String> {
    let (name, inside) = split(text)?;
    let mut types = Vec::new();
    if !inside.trim().is_empty() {
        for ty in inside.split(',') {
            let ty = ty.trim();
            let is_type = ty.starts_with(|first: char| first.is_ascii_lowercase() || first == '(')
                && ty.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"[]()".contains(&byte));
            if !is_type {
                return Err(format!("`{ty}` in `{text}` is not a type; write types without names"));
            }
            if matches!(ty, "uint" | "int") {
                return Err(format!(
                    "`{ty}` in `{text}`: write `{ty}256`, which is what is hashed"
                ));
            }
            types.push(ty);
        }
    }
    Ok(hash4(&format!("{name}({})", types.join(","))))
}

/// Name, and what stands inside of the brackets.
fn split(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is not a function signature such as `name(uint256)`");
    if text.len() > MAX_SIGNATURE_BYTES {
        return Err(format!("a signature has at most {MAX_SIGNATURE_BYTES} bytes"));
    }
    let (name, rest) = text.split_once('(').ok_or_else(wrong)?;
    let inside = rest.strip_suffix(')').ok_or_else(wrong)?;
    let is_name = name
        .starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '$')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$');
    if is_name { Ok((name, inside)) } else { Err(wrong()) }
}

fn word(ty: &str, value: &str) -> Result<Argument, String> {
    let of_amount = |amount: U256| Argument::Word(amount.to_be_bytes());
    match (ty, value) {
        ("address", "this") => Ok(Argument::This),
        ("address", value) => {
            let mut word = [0; 32];
            word[12..].copy_from_slice(&read_address(value)?);
            Ok(Argument::Word(word))
        }
        ("bool", "true") => Ok(of_amount(U256::from(1))),
        ("bool", "false") => Ok(of_amount(U256::ZERO)),
        ("bytes32", value) => {
            let digits = value.strip_prefix("0x").filter(|digits| digits.len() == 64);
            let word = digits.and_then(|digits| U256::from_str_radix(digits, 16).ok());
            word.map(of_amount)
                .ok_or_else(|| format!("`{value}` is not `0x` and 64 hexadecimal digits"))
        }
        (ty, value) if is_uint(ty) => read_digits(value).map(of_amount),
        (ty, value) => Err(format!(
            "`{ty} {value}`: arguments are `address`, `uint8` to `uint256`, `bool` or `bytes32`"
        )),
    }
}

fn is_uint(ty: &str) -> bool {
    ty.strip_prefix("uint")
        .and_then(|bits| bits.parse::<u16>().ok())
        .is_some_and(|bits| (8..=256).contains(&bits) && bits % 8 == 0)
}

fn hash4(signature: &str) -> [u8; 4] {
    let hash = Keccak256::digest(signature.as_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::{Argument, ViewCall, function_selector};

    #[test]
    fn selectors_are_those_of_the_abi() {
        assert_eq!(function_selector("transfer(address,uint256)"), Ok([0xa9, 0x05, 0x9c, 0xbb]));
        assert_eq!(function_selector(" totalSupply() "), Ok([0x18, 0x16, 0x0d, 0xdd]));
        for wrong in ["transfer", "f(address to)", "f(uint)", "f(address", "1f()", "f(a b)"] {
            assert!(function_selector(wrong).is_err(), "{wrong}");
        }
        assert!(function_selector(&format!("f({})", "uint8,".repeat(200))).is_err());
    }

    #[test]
    fn arguments_are_words() {
        let call = ViewCall::parse("balanceOf(address this)").unwrap();
        assert_eq!(call.selector, [0x70, 0xa0, 0x82, 0x31]);
        assert_eq!(call.arguments, [Argument::This]);
        let data = call.data([7; 20]);
        assert_eq!((data.len(), data[15], data[16]), (36, 0, 7));
        let call = ViewCall::parse("convertToAssets(uint256 1_000)").unwrap();
        assert_eq!(call.data([0; 20])[34..], [3, 0xe8]);
        assert!(ViewCall::parse("f(string a)").unwrap_err().contains("arguments are"));
        assert!(ViewCall::parse("f(uint7 1)").is_err());
        assert!(ViewCall::parse("f(uint256)").unwrap_err().contains("a type and a value"));
        assert!(ViewCall::parse(&format!("f({})", "bool true,".repeat(9))).is_err());
    }
}
