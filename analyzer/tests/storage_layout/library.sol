// SPDX-License-Identifier: MIT
pragma solidity ^0.8.31;

uint8 constant FORTY = 40;
uint8 constant COUNT = FORTY / 3;

struct Pair { uint128 a; uint128 b; }
