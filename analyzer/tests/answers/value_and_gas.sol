pragma solidity ^0.8.0;

interface Payee { function paid() external payable; }

contract C {
    uint256 last;
    function stipend(address payable to) external { last = 1; to.transfer(1); require(to.send(1)); }
    function forwarded(address to) external { last = 2; (bool ok, ) = to.call{value: 1}(""); require(ok); }
    function little(address to) external { last = 3; (bool ok, ) = to.call{value: 1, gas: 2300}(""); require(ok); }
    function limited(Payee to) external { last = 4; to.paid{value: 1, gas: 50000}(); }
    function assembly_(address to) external { last = 5; assembly { pop(call(gas(), to, 1, 0, 0, 0, 0)) } }
    function static_(address to) external { last = 6; (bool ok, ) = to.staticcall(""); require(ok); }
}
