//! Programs that the compiler must refuse: those in `ui/`.
#![cfg(not(miri))]

#[path = "../../../tests/refused.rs"]
mod refused;
