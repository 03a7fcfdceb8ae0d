//! The target that `REVEILLE_FUZZ_TARGET` names: one program to build for a short run of all.
#![forbid(unsafe_code)]
#![cfg_attr(any(fuzzing, feature = "libfuzzer"), no_main)]
reveille_fuzz::target!(reveille_fuzz::chosen);
