//! COCO captions: images with an id and a file name, and annotations that name an image by its id.
//!
//! The form is that of `captions_train2017.json` (cocodataset.org/#format-data). Images without annotations are left out.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Fault;
use super::gathered::Gathered;
use super::records::name_of;
use crate::data::captions::{CaptionsFile, MAX_CAPTIONS};

#[derive(Deserialize)]
struct Coco {
    #[serde(default)]
    images: Few<Image>,
    annotations: Few<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: Value,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Value,
    caption: String,
}

/// A list of no more items than captions are read; others would only fill memory.
struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FewVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
            type Value = Few<T>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Few<T>, A::Error> {
                let mut few = Vec::new();
                while let Some(item) = items.next_element()? {
                    if few.len() == MAX_CAPTIONS {
                        let message =
                            format_args!("more than {MAX_CAPTIONS} entries; at most that many are read");
                        return Err(A::Error::custom(message));
                    }
                    few.push(item);
                }
                Ok(Few(few))
            }
        }
        deserializer.deserialize_seq(FewVisitor(PhantomData))
    }
}

/// Whether this is meant for COCO's form: a list under this key is no caption of an image.
pub fn is_meant(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct HasAnnotations {
        #[serde(rename = "annotations")]
        _annotations: Objects,
    }
    /// A list whose first item is an object.
    struct Objects;
    impl<'de> Deserialize<'de> for Objects {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct ObjectsVisitor;
            impl<'de> Visitor<'de> for ObjectsVisitor {
                type Value = Objects;
                fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                    f.write_str("a list of objects")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Objects, A::Error> {
                    items.next_element::<BTreeMap<String, IgnoredAny>>()?;
                    while items.next_element::<IgnoredAny>()?.is_some() {}
                    Ok(Objects)
                }
            }
            deserializer.deserialize_seq(ObjectsVisitor)
        }
    }
    serde_json::from_slice::<HasAnnotations>(text).is_ok()
}

pub fn parse(text: &[u8]) -> Result<CaptionsFile, Fault> {
    let coco: Coco = serde_json::from_slice(text).map_err(|error| Fault::of_json(&error, 0))?;
    let mut names = HashMap::new();
    for (index, image) in coco.images.0.into_iter().enumerate() {
        let id =
            name_of(&image.id).map_err(|error| Fault::of_file(format!("images[{index}].id: {error}")))?;
        if names.insert(id.clone(), image.file_name).is_some() {
            return Err(Fault::of_file(format!("images[{index}]: the id {id} occurs twice")));
        }
    }
    let mut gathered = Gathered::default();
    for (index, annotation) in coco.annotations.0.into_iter().enumerate() {
        let fault = |message: String| Fault::of_file(format!("annotations[{index}]: {message}"));
        let id = name_of(&annotation.image_id).map_err(|error| fault(format!("image_id: {error}")))?;
        let name = names.get(&id).ok_or_else(|| fault(format!("image_id {id} is none of `images`")))?;
        gathered.add(name.clone(), vec![annotation.caption]).map_err(fault)?;
    }
    Ok(gathered.into_file())
}
