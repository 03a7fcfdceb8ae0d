//! The target `egress_proxy`.
#![forbid(unsafe_code)]
#![cfg_attr(any(fuzzing, feature = "libfuzzer"), no_main)]
reveille_fuzz::target!(reveille_fuzz::egress_proxy);
