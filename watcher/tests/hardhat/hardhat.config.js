// Blocks are mined when a test says so, and ordered by what a transaction leaves for the builder.
module.exports = {
  networks: {
    hardhat: {
      chainId: 31337,
      hardfork: "prague",
      mining: { auto: false, interval: 0, mempool: { order: "priority" } },
    },
  },
};
