//! The order in which base contracts are searched (C3, with Solidity's "most derived last" lists).

use super::ContractId;

/// The linearisation of `contract` itself and its direct `bases` as written, given theirs; `None`
/// where the bases contradict each other.
pub(crate) fn linearise(
    contract: ContractId,
    bases: &[ContractId],
    of: impl Fn(ContractId) -> Vec<ContractId>,
) -> Option<Vec<ContractId>> {
    let mut lists: Vec<Vec<ContractId>> = bases.iter().rev().map(|&base| of(base)).collect();
    lists.push(bases.iter().rev().copied().collect());
    let mut out = vec![contract];
    loop {
        lists.retain(|list| !list.is_empty());
        if lists.is_empty() {
            return Some(out);
        }
        let head = lists
            .iter()
            .map(|list| list[0])
            .find(|candidate| !lists.iter().any(|list| list[1..].contains(candidate)))?;
        out.push(head);
        for list in &mut lists {
            list.retain(|&entry| entry != head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_derived_base_is_searched_first() {
        // A; B is A; C is A; D is B, C
        let known = |id: ContractId| match id.0 {
            0 => vec![ContractId(0)],
            1 => vec![ContractId(1), ContractId(0)],
            _ => vec![ContractId(2), ContractId(0)],
        };
        let order = linearise(ContractId(3), &[ContractId(1), ContractId(2)], known);
        assert_eq!(order, Some(vec![ContractId(3), ContractId(2), ContractId(1), ContractId(0)]));
    }

    #[test]
    fn contradiction_has_no_order() {
        // B is A; C is B, A names the base after what derives from it.
        let known = |id: ContractId| {
            if id.0 == 0 { vec![ContractId(0)] } else { vec![ContractId(1), ContractId(0)] }
        };
        assert_eq!(linearise(ContractId(2), &[ContractId(1), ContractId(0)], known), None);
    }
}
