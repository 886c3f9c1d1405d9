use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The first shares of a pot can be made worth more than what later depositors bring.
    ///
    /// ## Why it matters
    ///
    /// Shares are counted as `deposit * supply / balance`, and anyone can raise the balance by simply sending to the
    /// contract. Whoever comes first buys one share, sends a large sum, and every later deposit that is smaller rounds
    /// down to no share at all, or to far too few: what was cut off belongs to the first.
    ///
    /// ## How to fix
    /// Keep the balance in a variable; or compute with virtual shares and assets, as in `(deposit * (supply + 1e6)) /
    /// (balance + 1)`; or give the first shares to nobody; or let the depositor say how many shares they want at least.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IToken { function transferFrom(address, address, uint256) external returns (bool); function balanceOf(address) external view returns (uint256); }
    /// contract Pot {
    ///     IToken immutable token;
    ///     uint256 supply;
    ///     mapping(address => uint256) shares;
    ///     constructor(IToken token_) { token = token_; }
    ///     function put(uint256 amount) external {
    ///         uint256 new_ = supply == 0 ? amount : amount * supply / token.balanceOf(address(this)); //~ share-inflation
    ///         supply += new_;
    ///         shares[msg.sender] += new_;
    ///         require(token.transferFrom(msg.sender, address(this), amount));
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IToken { function transferFrom(address, address, uint256) external returns (bool); function balanceOf(address) external view returns (uint256); }
    /// contract Pot {
    ///     IToken immutable token;
    ///     uint256 supply;
    ///     mapping(address => uint256) shares;
    ///     constructor(IToken token_) { token = token_; }
    ///     function put(uint256 amount) external {
    ///         uint256 new_ = amount * (supply + 1e6) / (token.balanceOf(address(this)) + 1);
    ///         supply += new_;
    ///         shares[msg.sender] += new_;
    ///         require(token.transferFrom(msg.sender, address(this), amount));
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Balances that are kept in a variable; deposits whose caller says the least number of shares; pots that give
    /// shares to a fixed account first.
    ShareInflation {
        id: "share-inflation",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for ShareInflation {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ShareInflation) {

            out.report_hazard(
                program,
                hazard,
                "whoever comes first can raise the balance and make this round down to nothing",
                "anyone can raise what is divided by",
                "add virtual shares and assets, or keep the balance in a variable",
            );
        }
    }
}
