#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::any_bytes::intake_log(bytes));
