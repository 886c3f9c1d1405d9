//! Names that people know: contracts by address, calls by selector, logs by topic.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use alloy::primitives::{Address, B256, U256, keccak256};

/// Calls that are common enough to be known by their first four bytes: ERC-20, ERC-721, ERC-1155, ERC-4626, wrapped
/// ether, `Ownable`, `AccessControl`, `Pausable`, proxies, pools, and vaults that keep ether.
const CALLS: &[&str] = &[
    "transfer(address,uint256)",
    "transferFrom(address,address,uint256)",
    "approve(address,uint256)",
    "balanceOf(address)",
    "allowance(address,address)",
    "totalSupply()",
    "decimals()",
    "symbol()",
    "name()",
    "mint(address,uint256)",
    "burn(uint256)",
    "burn(address,uint256)",
    "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
    "ownerOf(uint256)",
    "setApprovalForAll(address,bool)",
    "safeTransferFrom(address,address,uint256)",
    "safeTransferFrom(address,address,uint256,bytes)",
    "safeTransferFrom(address,address,uint256,uint256,bytes)",
    "onERC721Received(address,address,uint256,bytes)",
    "onERC1155Received(address,address,uint256,uint256,bytes)",
    "deposit()",
    "deposit(uint256)",
    "deposit(uint256,address)",
    "mint(uint256,address)",
    "withdraw(uint256)",
    "withdraw(uint256,address,address)",
    "redeem(uint256,address,address)",
    "withdraw()",
    "withdrawAll()",
    "asset()",
    "totalAssets()",
    "convertToAssets(uint256)",
    "convertToShares(uint256)",
    "owner()",
    "transferOwnership(address)",
    "renounceOwnership()",
    "hasRole(bytes32,address)",
    "grantRole(bytes32,address)",
    "revokeRole(bytes32,address)",
    "pause()",
    "unpause()",
    "paused()",
    "pause(address,bytes32)",
    "upgradeTo(address)",
    "upgradeToAndCall(address,bytes)",
    "implementation()",
    "initialize()",
    "multicall(bytes[])",
    "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
    "swap(uint256,uint256,address,bytes)",
    "swapA(uint256)",
    "swapB(uint256)",
    "getReserves()",
    "sync()",
    "skim(address)",
    "flashLoan(address,address,uint256,bytes)",
    "onFlashLoan(address,address,uint256,uint256,bytes)",
    "latestRoundData()",
    "attack(address,uint256)",
    "roundTrip(address,uint256)",
    "share(address[])",
];

static CALLS_BY_SELECTOR: LazyLock<BTreeMap<[u8; 4], &'static str>> = LazyLock::new(|| {
    let selector = |text: &str| keccak256(text).0[..4].try_into().unwrap_or_default();
    CALLS.iter().map(|text| (selector(text), *text)).collect()
});

static TRANSFER: LazyLock<B256> = LazyLock::new(|| keccak256("Transfer(address,address,uint256)"));

/// Arguments shown at most; calldata may be long.
const ARGUMENTS_SHOWN: usize = 6;

/// Names of contracts.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<Address, String>);

impl Names {
    /// Gives an address its name, unless it has one.
    pub(super) fn add(&mut self, address: Address, name: &str) {
        self.0.entry(address).or_insert_with(|| name.to_owned());
    }

    /// The name alone.
    pub(super) fn get(&self, address: &Address) -> Option<&str> {
        self.0.get(address).map(String::as_str)
    }

    /// The name, or the address, shortened.
    pub(super) fn of(&self, address: &Address) -> String {
        self.get(address).map_or_else(|| short(address), str::to_owned)
    }
}

/// Signature of a well-known call.
pub(crate) fn signature(selector: [u8; 4]) -> Option<&'static str> {
    CALLS_BY_SELECTOR.get(&selector).copied()
}

/// A call as people write it, its arguments with it where they can be read; `input` begins with the selector.
pub(super) fn call(input: &[u8], names: &Names) -> String {
    let Some(selector) = input.get(..4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()) else {
        return if input.is_empty() { "receive".to_owned() } else { hex(input) };
    };
    let Some(signature) = signature(selector) else {
        return format!("{} ({} bytes)", hex(&selector), input.len());
    };
    let (name, types) = signature.split_once('(').unwrap_or((signature, ")"));
    let types: Vec<&str> =
        types.trim_end_matches(')').split(',').filter(|ty| !ty.is_empty()).collect();
    let shown = types.iter().take(ARGUMENTS_SHOWN).enumerate().map(|(place, ty)| {
        let word = input.get(4 + place * 32..4 + (place + 1) * 32);
        word.map_or_else(|| "?".to_owned(), |word| argument(ty, word, names))
    });
    let mut shown: Vec<String> = shown.collect();
    if types.len() > ARGUMENTS_SHOWN {
        shown.push("…".to_owned());
    }
    format!("{name}({})", shown.join(", "))
}

/// A token's `Transfer`: from, to and the amount in the token's smallest unit. An ERC-721 id is no amount.
pub(super) fn token_transfer(topics: &[B256], data: &[u8]) -> Option<(Address, Address, U256)> {
    let [topic, from, to] = topics else { return None };
    (*topic == *TRANSFER && data.len() == 32)
        .then(|| (Address::from_word(*from), Address::from_word(*to), U256::from_be_slice(data)))
}

fn argument(ty: &str, word: &[u8], names: &Names) -> String {
    match ty {
        "address" => names.of(&Address::from_slice(&word[12..])),
        "uint256" | "uint8" if word.iter().all(|byte| *byte == 0xff) => "max".to_owned(),
        "uint256" | "uint8" => U256::from_be_slice(word).to_string(),
        "bool" => (word[31] != 0).to_string(),
        "bytes32" => format!("{}…", hex(&word[..4])),
        // What lies elsewhere in the calldata is not followed.
        _ => "…".to_owned(),
    }
}

pub(super) fn short(address: &Address) -> String {
    let text = address.to_string();
    format!("{}…{}", &text[..8], &text[text.len() - 4..])
}

fn hex(bytes: &[u8]) -> String {
    alloy::hex::encode_prefixed(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{address, hex};

    #[test]
    fn well_known_calls_read_with_their_arguments() {
        let mut names = Names::default();
        let vault = address!("0x00000000000000000000000000000000000000aa");
        names.add(vault, "vault");
        let mut input = hex!("a9059cbb").to_vec();
        input.extend_from_slice(vault.into_word().as_slice());
        input.extend_from_slice(&U256::from(1_500).to_be_bytes::<32>());
        assert_eq!(call(&input, &names), "transfer(vault, 1500)");
        assert_eq!(call(&input[..40], &names), "transfer(vault, ?)");
        assert_eq!(call(&[], &names), "receive");
        assert_eq!(call(&hex!("0badf00d00"), &names), "0x0badf00d (5 bytes)");
        assert_eq!(call(&hex!("853828b6"), &names), "withdrawAll()");
    }

    #[test]
    fn only_a_token_amount_is_a_token_amount() {
        let topics = [*TRANSFER, B256::with_last_byte(1), B256::with_last_byte(2)];
        let seven = U256::from(7).to_be_bytes::<32>();
        let read = token_transfer(&topics, &seven).unwrap();
        assert_eq!(read.2, U256::from(7));
        assert!(token_transfer(&[topics[0], topics[1], topics[2], topics[1]], &[]).is_none());
        assert!(token_transfer(&topics, &[0; 31]).is_none());
    }
}
