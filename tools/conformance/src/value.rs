//! Owns the values of scenarios (FORMAT section 2): what generators yield, are sent and return.
//!
//! Everybody uses it. A value prints as compact JSON, as Python's `json.dumps` writes it without escaping non-ASCII.

use serde_json::Value as Json;
use std::fmt;

/// A value: there are no booleans, floats or objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// Nothing; what `next` sends.
    #[default]
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Str(String),
    /// Values in order.
    Array(Vec<Value>),
}

impl Value {
    /// Takes a value out of parsed JSON.
    ///
    /// # Errors
    ///
    /// What is not a value of the format, in words.
    pub fn from_json(json: &Json) -> Result<Self, String> {
        match json {
            Json::Null => Ok(Self::Null),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Ok(Self::Int(int)),
                None => Err(format!("{number} is not a signed 64-bit integer")),
            },
            Json::String(text) => Ok(Self::Str(text.clone())),
            Json::Array(items) => items.iter().map(Self::from_json).collect::<Result<_, _>>().map(Self::Array),
            Json::Bool(_) | Json::Object(_) => Err(format!("{json} is not a value")),
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// What a string concatenation makes of it: a string as it is, anything else as JSON.
    pub fn text(&self) -> String {
        match self {
            Self::Str(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(int) => int.fmt(f),
            Self::Str(text) => write!(f, "{}", Json::from(text.as_str())),
            Self::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        Value::from_json(&serde_json::from_str(text).expect("the test writes JSON"))
    }

    #[test]
    fn prints_compact_json_with_control_characters_escaped() {
        let text = r#"[null,-3,"a b",[2,[3,null]],"é\"\\\n\u0001",[]]"#;
        assert_eq!(read(text).expect("a value").to_string(), text);
    }

    #[test]
    fn takes_64_bit_integers_only() {
        assert_eq!(read("-9223372036854775808"), Ok(Value::Int(i64::MIN)));
        assert_eq!(read("-0"), Ok(Value::Int(0)));
        for text in ["9223372036854775808", "1.0", "1e3", "true", "[{}]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
