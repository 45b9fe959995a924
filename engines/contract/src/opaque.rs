//! JSON that passes through: read by none of those who carry it.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};

/// A JSON value that only its writer reads again. It is kept as its text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Opaque(Box<RawValue>);

impl Opaque {
    /// The JSON of a value.
    ///
    /// # Errors
    /// If the value cannot be JSON, such as a map with keys that are not texts.
    pub fn new(value: &impl Serialize) -> serde_json::Result<Self> {
        to_raw_value(value).map(Self)
    }

    /// The value that it was made of.
    ///
    /// # Errors
    /// If it was made of another kind of value.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
    }
}

impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_carried_to_the_letter() {
        let text = r#"{"b":[1, 2.50],"a":null}"#;
        let opaque: Opaque = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&opaque).unwrap(), text);
        let value: serde_json::Value = opaque.read().unwrap();
        assert_eq!(value, serde_json::json!({"a": null, "b": [1, 2.5]}));
        opaque.read::<u8>().unwrap_err();
        assert_eq!(
            Opaque::new(&[1, 2]).unwrap().read::<Vec<u8>>().unwrap(),
            [1, 2]
        );
    }
}
