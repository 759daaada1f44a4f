//! The format version that every stored model carries.

/// Stored as a number; a model of another version is refused when it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version;

#[cfg(feature = "serde")]
mod persist {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use super::Version;
    use crate::Error;

    const FORMAT: u32 = 1;

    impl Serialize for Version {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u32(FORMAT)
        }
    }

    impl<'de> Deserialize<'de> for Version {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match u32::deserialize(deserializer)? {
                FORMAT => Ok(Self),
                given => Err(D::Error::custom(Error::Version { given, expected: FORMAT })),
            }
        }
    }
}
