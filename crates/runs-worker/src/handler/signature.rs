//! Signatures after the Standard Webhooks specification, version 1.0: symmetric, `v1`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// What keys begin with in their written form.
const PREFIX: &str = "whsec_";
/// The lengths of keys in bytes; the specification says 24 to 64.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that both sides know.
#[derive(Clone)]
pub(crate) struct SigningKey(SecretSlice<u8>);

impl SigningKey {
    /// Reads the written form: `whsec_` and the key in Base64. What is wrong is told without the key.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some(encoded) = text.strip_prefix(PREFIX) else {
            return Err(format!("a signing key begins with `{PREFIX}`"));
        };
        let key = STANDARD
            .decode(encoded)
            .map_err(|_| format!("what follows `{PREFIX}` in a signing key is Base64"))?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(format!(
                "a signing key has {} to {} bytes, this one has {}; make one with: echo \"{PREFIX}$(openssl rand -base64 32)\"",
                KEY_BYTES.start(),
                KEY_BYTES.end(),
                key.len()
            ));
        }
        Ok(Self(key.into()))
    }

    fn sign(&self, content: &[&[u8]]) -> String {
        // A key of any length will do for HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else {
            return String::new();
        };
        for part in content {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The value of `webhook-signature`: one signature for each key, so that keys can be replaced without a gap.
pub(crate) fn signatures(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let timestamp = timestamp.to_string();
    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(&content)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_signed_as_it_shows() {
        let key = SigningKey::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            signatures(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_is_no_key_is_told_without_it() {
        for text in ["", "s3cret", "whsec_s3cret!", "whsec_c2hvcnQ="] {
            let message = SigningKey::read(text).err().unwrap();
            assert!(!message.contains("s3cret") && !message.contains("c2hvcnQ"), "{message}");
        }
    }
}
