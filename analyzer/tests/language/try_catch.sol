pragma solidity ^0.8.20;
interface I { function g() external returns (uint, bool); }
contract C { uint n; function f(I i) external { try i.g() returns (uint a, bool) { n = a; } catch Error(string memory why) { n = bytes(why).length; } catch Panic(uint code) { n = code; } catch (bytes memory data) { n = data.length; } try new C() returns (C made) { made.f(i); } catch {} } }
