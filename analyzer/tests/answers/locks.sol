pragma solidity ^0.8.24;

contract Mutex {
    address holder;
    function enter() external { require(holder == address(0)); holder = msg.sender; }
    function leave() external { require(holder == msg.sender); holder = address(0); }
}

abstract contract Guarded {
    uint256 private constant FREE = 1;
    uint256 private status = FREE;
    modifier nonReentrant() { require(status == FREE); status = 2; _; status = FREE; }
}

contract C is Guarded {
    bool locked;
    mapping(address => uint256) owed;
    Mutex immutable mutex;
    constructor(Mutex kept) { mutex = kept; }
    modifier transientLock() {
        assembly { if tload(0) { revert(0, 0) } tstore(0, 1) }
        _;
        assembly { tstore(0, 0) }
    }
    function pay() internal {
        uint256 amount = owed[msg.sender];
        (bool ok, ) = msg.sender.call{value: amount}("");
        require(ok);
        owed[msg.sender] = 0;
    }
    function byHand() external { require(!locked); locked = true; pay(); locked = false; }
    function byLibrary() external nonReentrant { pay(); }
    function byTransient() external transientLock { pay(); }
    function acrossContracts() external { mutex.enter(); pay(); mutex.leave(); }
    function open() external { pay(); }
    function deposit() external payable { owed[msg.sender] += msg.value; }
}
