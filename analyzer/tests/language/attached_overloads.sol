pragma solidity ^0.8.0;

struct Box { uint256 value; }

library ForNumbers {
    function twice(uint256 self) internal pure returns (uint256) { return self * 2; }
    function put(uint256 self, address to) internal pure returns (uint256) { to; return self; }
    function put(uint256 self, uint8 amount) internal pure returns (uint256) { return self + amount; }
    function put(uint256 self, uint256 amount) internal pure returns (uint256) { return self * amount; }
    function put(uint256 self, bytes32 word) internal pure returns (uint256) { return self ^ uint256(word); }
    function put(uint256 self, string memory text) internal pure returns (uint256) { return self + bytes(text).length; }
}

library ForBytes8 {
    function twice(uint8 self) internal pure returns (uint8) { return self; }
}

library ForBoxes {
    function open(Box storage self) internal view returns (uint256) { return self.value; }
    function show(Box memory self) internal pure returns (uint256) { return self.value + 1; }
    function show(Box storage self, uint256 more) internal view returns (uint256) { return self.value + more; }
    function show(Box memory self, int256 less) internal pure returns (int256) { return int256(self.value) - less; }
}

contract Base {}
contract Derived is Base {}

library ForContracts {
    function name(Base self, Base other) internal pure returns (bool) { return address(self) == address(other); }
    function name(Base self, bytes memory other) internal pure returns (bool) { return address(self) == address(bytes20(other)); }
}

contract C {
    using ForNumbers for uint256;
    using ForBytes8 for uint8;
    using ForBoxes for Box;
    using ForContracts for Base;

    Box kept;

    function numbers(uint256 n, uint8 small, address to, bytes32 word, string memory text) external pure returns (uint256) {
        return n.put(to) + n.put(small) + n.put(uint256(small)) + n.put(300) + n.put(word) + n.put(text);
    }

    function receivers(uint256 n, uint8 small) external pure returns (uint256) {
        return n.twice() + small.twice();
    }

    function boxes(uint256 more, int256 less) external view returns (uint256) {
        Box memory here = kept;
        return kept.open() + here.show() + kept.show(more) + uint256(here.show(less)) + kept.show({more: 1});
    }

    function contracts(Base base, Derived derived, bytes memory text) external pure returns (bool) {
        return base.name(derived) && base.name(text);
    }
}
