//! Decodes and processes the images of examples, in parallel.

use std::path::Path;

use rayon::prelude::*;

use super::augmentation::View;
use super::dataset::{DataError, Example};
use super::image_file::{Digest, with_rgb};
use super::problems::{ProblemKind, Problems, shown_path};
use super::processor::ImageProcessor;
use super::resample::resize_bicubic;

/// Each example's image as the model takes it: `3 x height x width` values, channels first. In the order of
/// the examples.
///
/// All of it is held in memory at once (1.8 MB an image at 384 x 384): hand in as many examples as fit.
///
/// # Errors
/// Lists every image that cannot be decoded, and, where the processor does not resize, every image of another
/// size.
pub fn load_pixels(examples: &[Example], processor: &ImageProcessor) -> Result<Vec<Vec<f32>>, DataError> {
    read_each(examples.iter(), |example| pixels_of(&example.path, example.digest.as_ref(), None, processor))
}

/// The same of images that are changed first.
///
/// # Errors
/// Those of [`load_pixels`].
pub fn load_views(
    examples: &[(&Example, View)],
    processor: &ImageProcessor,
) -> Result<Vec<Vec<f32>>, DataError> {
    let read = |(example, view): &(&Example, View)| {
        pixels_of(&example.path, example.digest.as_ref(), Some(*view), processor)
    };
    all_of(examples.par_iter().map(read).collect())
}

/// What `read` makes of each example's image, in parallel and in the order of the examples.
///
/// # Errors
/// Lists every image that `read` cannot use.
pub fn read_each<'a, T: Send>(
    examples: impl Iterator<Item = &'a Example>,
    read: impl Fn(&Example) -> Result<T, String> + Sync,
) -> Result<Vec<T>, DataError> {
    let examples: Vec<&Example> = examples.collect();
    all_of(examples.par_iter().map(|example| read(example)).collect())
}

fn all_of<T>(results: Vec<Result<T, String>>) -> Result<Vec<T>, DataError> {
    let mut problems = Problems::default();
    let mut all = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(one) => all.push(one),
            Err(reason) => problems.add(ProblemKind::BrokenImage, reason),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(DataError::Problems(problems)) }
}

/// An image file as the model takes it.
///
/// # Errors
/// Says which file cannot be decoded, or has another size where the processor does not resize.
pub fn read_pixels(path: &Path, processor: &ImageProcessor) -> Result<Vec<f32>, String> {
    pixels_of(path, None, None, processor)
}

fn pixels_of(
    path: &Path,
    digest: Option<&Digest>,
    view: Option<View>,
    processor: &ImageProcessor,
) -> Result<Vec<f32>, String> {
    with_rgb(path, digest, |picture| {
        let (width, height) = picture.dimensions();
        if !processor.do_resize && (width, height) != (processor.width, processor.height) {
            let wanted = format!("{} x {}", processor.width, processor.height);
            let path = shown_path(path);
            return Err(format!(
                "{path}: {width} x {height} pixels, but the processor does not resize (`do_resize: false`) and the model takes {wanted}"
            ));
        }
        Ok(match view {
            None => processor.process(&picture),
            // What is cut out has the model's size even where the processor does not resize.
            Some(view) => {
                let (width, height) = (processor.width, processor.height);
                processor.process(&resize_bicubic(&view.apply(&picture), width, height))
            }
        })
    })
    .map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn example(folder: &Path, name: &str) -> Example {
        Example {
            image: name.to_owned(),
            path: folder.join(name),
            captions: vec!["x".to_owned()],
            digest: None,
        }
    }

    fn picture(folder: &Path, name: &str, side: u32, shade: u8) -> Example {
        let picture = image::RgbImage::from_pixel(side, side, image::Rgb([shade; 3]));
        picture.save(folder.join(name)).unwrap();
        example(folder, name)
    }

    #[test]
    fn pixels_come_in_the_order_of_the_examples() {
        let folder = tempfile::tempdir().unwrap();
        let examples: Vec<Example> = (0..40)
            .map(|shade| picture(folder.path(), &format!("{shade}.png"), u32::from(shade) % 5 + 1, shade))
            .collect();
        let processor =
            ImageProcessor { do_normalize: false, do_rescale: false, ..ImageProcessor::square(3) };
        let pixels = load_pixels(&examples, &processor).unwrap();
        assert_eq!(pixels.len(), 40);
        for (shade, values) in pixels.into_iter().enumerate() {
            assert_eq!(values, vec![shade as f32; 27]);
        }
    }

    #[test]
    fn all_images_that_cannot_be_used_are_listed_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("z.png"), b"nothing").unwrap();
        let examples = [
            example(folder.path(), "z.png"),
            picture(folder.path(), "good.png", 3, 1),
            picture(folder.path(), "other_size.png", 4, 1),
            example(folder.path(), "a.png"),
        ];
        let processor = ImageProcessor { do_resize: false, ..ImageProcessor::square(3) };
        let Err(DataError::Problems(problems)) = load_pixels(&examples, &processor) else {
            panic!("three of the images are of no use");
        };
        let entries = problems.of_kind(ProblemKind::BrokenImage);
        assert_eq!(entries.len(), 3);
        assert!(entries[0].contains("z.png: not an image"), "{entries:?}");
        assert!(entries[1].contains("other_size.png: 4 x 4 pixels, but"), "{entries:?}");
        assert!(entries[2].ends_with("a.png: no such file"), "{entries:?}");
    }
}
