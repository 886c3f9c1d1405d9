pragma solidity ^0.8.0;

struct Account { uint256 paid; uint256 owed; }

library Ledger {
    function pay(mapping(address => Account) storage book, address who, uint256 amount) internal {
        Account storage account = book[who];
        account.paid += amount;
    }
}

contract C {
    mapping(address => Account) book;
    uint256[] list;
    uint256 total;

    function byReference(uint256 amount) external { Account storage mine = book[msg.sender]; mine.owed = amount; }
    function byLibrary(uint256 amount) external { Ledger.pay(book, msg.sender, amount); }
    function byInternalCall(uint256 amount) external { add(list, amount); }
    function byAssembly(uint256 amount) external { assembly { sstore(total.slot, add(sload(total.slot), amount)) } }
    function add(uint256[] storage to, uint256 amount) internal { to.push(amount); total += amount; }
}
