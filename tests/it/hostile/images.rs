//! Pictures that cannot be looked at, and strange ones that can.

use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::{Case, Spoil, case, check, fixture, own_data};
use crate::workdir::Workdir;

const CAPTION: &str = "caption --model model images/a.png";
/// Checks headers alone.
const AUDIT: &str = "audit s.yaml";
/// Decodes all of them.
const LOOK: &str = "audit s.yaml --images";
const A: &str = "images/a.png";

/// The picture's file is this fixture's.
fn picture(workdir: &Workdir, name: &str) {
    workdir.bytes(A, &fixture(&format!("processor/{name}")));
}

/// A fixture with its bytes changed.
fn changed(workdir: &Workdir, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fixture(&format!("processor/{name}"));
    change(&mut bytes);
    workdir.bytes(A, &bytes);
}

/// A chunk of a PNG.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(name);
    sum.update(data);
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], name, data, &sum.sum().to_be_bytes()].concat()
}

/// A black PNG, right in all; `bytes` of it are compressed data.
fn png(width: u32, height: u32, depth: u8, color: u8, bytes: u64) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, color, 0, 0, 0]].concat();
    let mut data = ZlibEncoder::new(Vec::new(), Compression::fast());
    let block = vec![0; 1 << 20];
    for start in (0..bytes).step_by(block.len()) {
        data.write_all(&block[..block.len().min((bytes - start) as usize)]).unwrap();
    }
    let data = chunk(b"IDAT", &data.finish().unwrap());
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &data, &chunk(b"IEND", b"")].concat()
}

/// What an animated WebP says of its first frame: place, size, ...
fn frame_of(bytes: &mut [u8]) -> &mut [u8] {
    let at = bytes.windows(4).position(|name| name == b"ANMF").unwrap();
    &mut bytes[at + 8..]
}

/// Gives a JPEG another size in its header.
fn resized(bytes: &mut [u8], width: u16, height: u16) {
    let frame = bytes.windows(2).position(|two| two == [0xff, 0xc0] || two == [0xff, 0xc2]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
}

const CASES: &[Case] = &[
    case("no such file", CAPTION, |dir| dir.remove(A)),
    case("no bytes", CAPTION, |dir| dir.bytes(A, b"")),
    case("a text", CAPTION, |dir| dir.bytes(A, b"<html>404 Not Found</html>")),
    case("a format that is not read", CAPTION, |dir| dir.bytes(A, b"II*\0\x08\0\0\0")),
    case("a PNG that is cut off", CAPTION, |dir| {
        changed(dir, "exact_same.png", |bytes| bytes.truncate(bytes.len() / 2));
    }),
    case("a JPEG that is cut off", CAPTION, |dir| {
        changed(dir, "lossy_420.jpg", |bytes| bytes.truncate(bytes.len() / 2));
    }),
    case("a progressive JPEG that is cut off", CAPTION, |dir| {
        changed(dir, "lossy_progressive.jpg", |bytes| bytes.truncate(bytes.len() / 2));
    }),
    case("a GIF that is cut off", CAPTION, |dir| {
        changed(dir, "exact_gif.gif", |bytes| bytes.truncate(bytes.len() / 2));
    }),
    case("a WebP that is cut off", CAPTION, |dir| {
        changed(dir, "lossy_webp.webp", |bytes| bytes.truncate(bytes.len() / 2));
    }),
    case("a BMP that is cut off", CAPTION, |dir| {
        changed(dir, "exact_bitmap.bmp", |bytes| bytes.truncate(bytes.len() / 2));
    }),
    case("a PNG whose data are damaged", LOOK, |dir| {
        changed(dir, "exact_same.png", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle..middle + 8].fill(0xaa);
        });
    }),
    case("a PNG of 60,000 x 60,000 pixels", AUDIT, |dir| {
        dir.bytes(A, &png(60_000, 60_000, 1, 0, 60_000 * 7_501))
    }),
    case("a PNG of 2^32 pixels a side", AUDIT, |dir| dir.bytes(A, &png(u32::MAX, u32::MAX, 8, 6, 100))),
    case("a PNG of no pixels", AUDIT, |dir| dir.bytes(A, &png(0, 0, 8, 2, 0))),
    case("a GIF of 65,535 pixels a side", AUDIT, |dir| {
        changed(dir, "exact_gif.gif", |bytes| bytes[6..10].fill(0xff));
    }),
    case("a BMP of 2^31 pixels a side", AUDIT, |dir| {
        changed(dir, "exact_bitmap.bmp", |bytes| {
            bytes[18..26].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f])
        });
    }),
    case("a JPEG of 65,500 pixels a side", AUDIT, |dir| {
        changed(dir, "lossy_444.jpg", |bytes| resized(bytes, 65_500, 65_500));
    }),
    case("a JPEG that says it is as large as is read", CAPTION, |dir| {
        changed(dir, "lossy_444.jpg", |bytes| resized(bytes, 9_450, 9_450));
    }),
    case("a progressive JPEG that says so", CAPTION, |dir| {
        changed(dir, "lossy_progressive.jpg", |bytes| resized(bytes, 9_450, 9_450));
    }),
    case("pictures of which each takes more than half of a gigabyte", LOOK, |dir| {
        let huge = png(9_400, 9_400, 8, 6, 9_400 * (4 * 9_400 + 1));
        ["a", "b"].iter().for_each(|name| dir.bytes(&format!("images/{name}.png"), &huge));
    }),
    case("a picture of as many bytes as are decoded", CAPTION, |dir| {
        dir.bytes(A, &png(8_192, 8_191, 16, 6, 8_191 * (8 * 8_192 + 1)));
    }),
    case("a picture of one pixel", CAPTION, |dir| picture(dir, "exact_one_pixel.png")),
    case("a picture a pixel high and one as long as is read", CAPTION, |dir| {
        dir.bytes(A, &png(20_000, 1, 8, 0, 20_001));
    }),
    case("CMYK", CAPTION, |dir| picture(dir, "lossy_cmyk.jpg")),
    case("16 bits a channel", CAPTION, |dir| picture(dir, "exact_alpha_16.png")),
    case("a palette with transparency", CAPTION, |dir| picture(dir, "exact_palette_alpha.png")),
    case("an animated GIF", CAPTION, |dir| picture(dir, "exact_animation.gif")),
    case("an animated WebP", CAPTION, |dir| picture(dir, "animation_lossy.webp")),
    case("an animated WebP that is cut off in its first frame", CAPTION, |dir| {
        changed(dir, "animation_lossy.webp", |bytes| bytes.truncate(100));
    }),
    case("an animated WebP whose frame leads out of its canvas", CAPTION, |dir| {
        changed(dir, "animation_lossy.webp", |bytes| frame_of(bytes)[0] = 200);
    }),
    case("an animated WebP whose frame is of another size than it says", CAPTION, |dir| {
        changed(dir, "animation_lossy.webp", |bytes| frame_of(bytes)[6] = 9);
    }),
    case("an animated WebP of 2^24 pixels a side", AUDIT, |dir| {
        changed(dir, "animation_lossy.webp", |bytes| bytes[24..30].fill(0xff));
    }),
    case("an animated WebP of as many pixels as are read, and hardly a byte", CAPTION, |dir| {
        changed(dir, "animation_lossy.webp", |bytes| {
            // 9,450 pixels a side, less one.
            [24, 27].iter().for_each(|at| bytes[*at..at + 3].copy_from_slice(&[0xe9, 0x24, 0]));
        });
    }),
    case("an animated WebP without a frame", CAPTION, |dir| {
        changed(dir, "animation_lossy.webp", |bytes| {
            let length = bytes.len() as u32 - 8;
            let frames = bytes.windows(4).filter(|name| name == b"ANMF").count();
            assert_eq!((frames, u32::from_le_bytes(bytes[4..8].try_into().unwrap())), (2, length));
            while let Some(at) = bytes.windows(4).position(|name| name == b"ANMF") {
                bytes[at..at + 4].copy_from_slice(b"NONE");
            }
        });
    }),
    case("turned by EXIF, which is not followed", CAPTION, |dir| {
        changed(dir, "lossy_444.jpg", |bytes| {
            let tags =
                b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
            bytes.splice(2..2, tags.iter().copied());
        });
    }),
    case("EXIF that points into nothing", CAPTION, |dir| {
        changed(dir, "lossy_444.jpg", |bytes| {
            let tags = b"\xff\xe1\0\x10Exif\0\0MM\0*\xff\xff\xff\xff";
            bytes.splice(2..2, tags.iter().copied());
        });
    }),
    case("another ending than the content", CAPTION, |dir| picture(dir, "lossy_420.jpg")),
    case("a folder", AUDIT, |dir| dir.folder(A)),
    case("a pipe", AUDIT, |dir| dir.pipe(A)),
    case("a pipe to be captioned", CAPTION, |dir| dir.pipe(A)),
    case("a device without end to be captioned", "caption --model model /dev/zero", |_| {}),
    case("a link to itself", AUDIT, |dir| dir.link(A, "a.png")),
    case("a link to itself to be captioned", CAPTION, |dir| dir.link(A, "a.png")),
    case("a folder that leads back to itself", "caption --model model images", |dir| {
        dir.link("images/again", "../images");
    }),
    case("a file of a gigabyte", AUDIT, |dir| dir.hollow(A, 1 << 30)),
    case("all that is wrong, before anything starts", "run s.yaml", |dir| {
        dir.bytes(A, b"");
        dir.bytes("images/b.png", &png(60_000, 60_000, 1, 0, 10));
        dir.remove("images/c.png");
        dir.folder("images/d.png");
    }),
];

#[test]
fn pictures_that_are_wrong_cost_one_message_and_strange_ones_are_read() {
    check("images", CASES, own_data);
}

#[test]
fn a_picture_that_may_not_be_read_is_named() {
    let workdir = own_data();
    let path = workdir.path().join(A);
    assert!(Command::new("chmod").arg("000").arg(&path).status().unwrap().success());
    if std::fs::File::open(&path).is_ok() {
        eprintln!("skipped: who runs the tests may read everything");
        return;
    }
    let shown = workdir.sweep(AUDIT);
    assert!(
        shown.starts_with("exit 2") && shown.contains("a.png: cannot be read: Permission denied"),
        "{shown}"
    );
}
