//! Networks as lists of layers in JSON and other self-describing formats.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};

use super::{
    Net,
    node::{Argument, Node, layers, nodes},
};

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("t", &self.name)?;
        for (key, value) in &self.arguments {
            map.serialize_entry(key, value)?;
        }
        if !self.operands.is_empty() {
            map.serialize_entry("branches", &self.operands)?;
        }
        map.end()
    }
}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(x) if x.fract().abs() < f64::MIN_POSITIVE && x.abs() < 1e15 => {
                serializer.serialize_i64(*x as i64)
            }
            Self::Number(x) => serializer.serialize_f64(*x),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::None => serializer.serialize_none(),
            Self::Word(w) => serializer.serialize_str(w),
            Self::List(items) => items.serialize(serializer),
            Self::Chain(nodes) => nodes.serialize(serializer),
        }
    }
}

struct ArgumentVisitor;

impl<'de> Visitor<'de> for ArgumentVisitor {
    type Value = Argument;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a word, a list or a layer")
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Argument, E> {
        Ok(Argument::Number(v))
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Argument, E> {
        Ok(Argument::Number(v as f64))
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Argument, E> {
        Ok(Argument::Number(v as f64))
    }
    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Argument, E> {
        Ok(Argument::Bool(v))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Argument, E> {
        Ok(Argument::None)
    }
    fn visit_none<E: de::Error>(self) -> Result<Argument, E> {
        Ok(Argument::None)
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Argument, E> {
        Ok(Argument::Word(v.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Argument, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Argument>()? {
            items.push(item);
        }
        Ok(Argument::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Argument, A::Error> {
        let mut node = Node { name: String::new(), operands: Vec::new(), arguments: Vec::new() };
        while let Some(key) = map.next_key::<String>()? {
            let value: Argument = map.next_value()?;
            match (key.as_str(), value) {
                ("t", Argument::Word(name)) => node.name = name,
                ("t", _) => return Err(de::Error::custom("`t` must be the name of the layer")),
                (_, value) => node.arguments.push((key, value)),
            }
        }
        if node.name.is_empty() {
            return Err(de::Error::missing_field("t"));
        }
        Ok(Argument::Chain(vec![node]))
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ArgumentVisitor)
    }
}

impl Serialize for Net {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.to_string().contains("custom") {
            return Err(serde::ser::Error::custom("an activation given as code cannot be stored"));
        }
        nodes(self.layers()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Net {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<Argument>::deserialize(deserializer)?;
        let mut all = Vec::new();
        for item in items {
            match item {
                Argument::Chain(nodes) => all.extend(nodes),
                _ => return Err(de::Error::custom("a network is a list of layers with a name `t` each")),
            }
        }
        let layers = layers(&all).map_err(de::Error::custom)?;
        Net::new(layers).map_err(de::Error::custom)
    }
}
