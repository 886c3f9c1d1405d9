pragma solidity ^0.8.20;
contract A { function f() public virtual returns (uint) { return 1; } }
contract B is A { function f() public virtual override returns (uint) { return super.f() + 2; } }
contract C is A { function f() public virtual override returns (uint) { return super.f() * 3; } }
contract D is B, C { function f() public override(B, C) returns (uint) { return super.f(); } }
