pragma solidity ^0.8.0;

interface Oracle { function price() external view returns (uint256); }

contract C {
    address owner = msg.sender;
    address sink;
    Oracle oracle;
    function byArgument(address to) external { to.call(""); }
    function throughMemory(bytes memory data) external { abi.decode(data, (address)).call(""); }
    function byBlock() external { address(uint160(uint256(blockhash(block.number - 1)))).call(""); }
    function byAnswer() external { address(uint160(oracle.price())).call(""); }
    function byBalance() external { payable(msg.sender).transfer(address(this).balance / 2); }
    function byStateOfOwner() external { sink.call(""); }
    function set(address next) external { require(msg.sender == owner); sink = next; }
}
