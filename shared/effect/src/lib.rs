//! Carrying out a command: fence, ledger, budget, perform, classify, settle.
