//! Decides: turns what was seen into plans, and plans into commands.
