//! Exact numbers and addresses from their text; no float on the way.

use ruint::aliases::U256;

/// Reads a decimal such as `0.05` or `1_000` scaled by ten to the power of `decimals`, exactly.
pub(crate) fn decimal(text: &str, decimals: usize) -> Result<U256, String> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals {
        return Err(format!(
            "`{text}` is finer than the unit: at most {decimals} digits after the point"
        ));
    }
    let digits: String =
        whole.chars().chain(fraction.chars()).filter(|digit| *digit != '_').collect();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(format!("`{text}` is not a decimal number"));
    }
    let zeros = decimals - fraction.len();
    let value = U256::from_str_radix(&digits, 10).map_err(|_| out_of_range(text))?;
    let scale =
        U256::from(10u64).checked_pow(U256::from(zeros)).ok_or_else(|| out_of_range(text))?;
    value.checked_mul(scale).ok_or_else(|| out_of_range(text))
}

/// Reads `0x` and forty hexadecimal digits, in any case.
pub(crate) fn address(text: &str) -> Result<[u8; 20], String> {
    let wrong = || format!("`{text}` is not an address: `0x` and 40 hexadecimal digits");
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40).ok_or_else(wrong)?;
    let mut address = [0; 20];
    for (byte, pair) in address.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (high, low) else { return Err(wrong()) };
        *byte = u8::try_from(high * 16 + low).map_err(|_| wrong())?;
    }
    Ok(address)
}

fn out_of_range(text: &str) -> String {
    format!("`{text}` does not fit into 256 bits")
}

#[cfg(test)]
mod tests {
    use super::{address, decimal};
    use ruint::aliases::U256;

    #[test]
    fn decimals_are_exact_to_the_last_wei() {
        assert_eq!(decimal("0.1", 18), Ok(U256::from(100_000_000_000_000_000u64)));
        assert_eq!(
            decimal("1.000000000000000001", 18),
            Ok(U256::from(1_000_000_000_000_000_001u64))
        );
        assert_eq!(decimal("1_000", 0), Ok(U256::from(1000)));
        assert!(decimal("0.0000000000000000001", 18).unwrap_err().contains("finer"));
        assert!(decimal("1e3", 18).unwrap_err().contains("not a decimal"));
        assert!(decimal("", 0).is_err());
        assert!(decimal(&"9".repeat(78), 0).unwrap_err().contains("256 bits"));
        assert!(decimal(&"9".repeat(70), 18).unwrap_err().contains("256 bits"));
    }

    #[test]
    fn addresses_need_forty_digits() {
        assert_eq!(
            address(&format!("0x{}Ff", "00".repeat(19))).map(|address| address[19]),
            Ok(255)
        );
        assert!(address("0x12").is_err());
        assert!(address(&format!("0x{}", "zz".repeat(20))).is_err());
        assert!(address(&format!("0x{}", "é".repeat(20))).is_err());
    }
}
