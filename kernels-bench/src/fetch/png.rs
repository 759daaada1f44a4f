//! Pictures of 8 bits a channel in PNG files, without interlacing: what data sets are packed in.

use std::{fs, io::Read, path::Path};

use crate::error::Error;

/// The RGB bytes of a picture, row by row, with its height and width; transparency is left out.
pub(super) fn rgb(path: &Path) -> Result<(Vec<u8>, (usize, usize)), Error> {
    let bytes = fs::read(path).map_err(|e| Error::file(path, "read", e))?;
    decode(&bytes).ok_or_else(|| {
        Error::content(path, "is not a whole PNG picture of 8-bit RGB or RGBA without interlacing")
    })
}

fn decode(bytes: &[u8]) -> Option<(Vec<u8>, (usize, usize))> {
    let mut rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let number = |b: &[u8]| b.iter().fold(0_usize, |v, b| v << 8 | usize::from(*b));
    let (mut head, mut packed) = (None, Vec::new());
    loop {
        let length = number(rest.get(..4)?);
        let (kind, content) = (rest.get(4..8)?, rest.get(8..length.checked_add(8)?)?);
        match kind {
            b"IHDR" => head = Some(<[u8; 13]>::try_from(content).ok()?),
            b"IDAT" => packed.extend_from_slice(content),
            b"IEND" => break,
            _ => {}
        }
        // A checksum ends the chunk.
        rest = rest.get(length + 12..)?;
    }
    let head = head?;
    let (width, height) = (number(&head[..4]), number(&head[4..8]));
    let channels = match head[8..] {
        [8, 2, 0, 0, 0] => 3,
        [8, 6, 0, 0, 0] => 4,
        _ => return None,
    };
    let line = width.checked_mul(channels)?;
    let size = line.checked_add(1)?.checked_mul(height)?;
    let mut filtered = Vec::new();
    // One byte more than there should be is enough to see that there are too many.
    let limit = u64::try_from(size).ok()?.checked_add(1)?;
    flate2::read::ZlibDecoder::new(packed.as_slice()).take(limit).read_to_end(&mut filtered).ok()?;
    if filtered.len() != size || line == 0 {
        return None;
    }
    let mut out = Vec::with_capacity(width * height * 3);
    let mut above = vec![0_u8; line];
    for row in filtered.chunks_exact_mut(line + 1) {
        let (filter, row) = row.split_first_mut()?;
        unfilter(*filter, row, &above, channels)?;
        above.copy_from_slice(row);
        out.extend(row.chunks_exact(channels).flat_map(|p| [p[0], p[1], p[2]]));
    }
    Some((out, (height, width)))
}

/// Adds to each byte what its filter predicts from the bytes to the left, above, and above left.
fn unfilter(filter: u8, row: &mut [u8], above: &[u8], channels: usize) -> Option<()> {
    for i in 0..row.len() {
        let (left, corner) = if i < channels { (0, 0) } else { (row[i - channels], above[i - channels]) };
        let predicted = match filter {
            0 => 0,
            1 => left,
            2 => above[i],
            3 => left.midpoint(above[i]),
            4 => {
                // Whichever of the three is nearest to left + above − corner.
                let (a, b, c) = (i16::from(left), i16::from(above[i]), i16::from(corner));
                let (to_a, to_b, to_c) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
                if to_a <= to_b && to_a <= to_c {
                    left
                } else if to_b <= to_c {
                    above[i]
                } else {
                    corner
                }
            }
            _ => return None,
        };
        row[i] = row[i].wrapping_add(predicted);
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A picture of which every row has another filter.
    fn picture(channels: usize) -> (Vec<u8>, Vec<u8>) {
        let (width, height) = (4_usize, 5_usize);
        let line = width * channels;
        let value = |r: usize, i: usize| ((r * 97 + i * i * 31 + 5) % 256) as u8;
        let mut filtered = Vec::new();
        for r in 0..height {
            filtered.push(r as u8);
            for i in 0..line {
                let at =
                    |r: Option<usize>, i: Option<usize>| r.zip(i).map_or(0, |(r, i)| i32::from(value(r, i)));
                let (up, left) = (r.checked_sub(1), i.checked_sub(channels));
                let (a, b, c) = (at(Some(r), left), at(up, Some(i)), at(up, left));
                let p = a + b - c;
                let nearest = [a, b, c].into_iter().min_by_key(|v| (p - v).abs()).unwrap();
                let predicted = [0, a, b, (a + b) / 2, nearest][r];
                filtered.push((i32::from(value(r, i)) - predicted) as u8);
            }
        }
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&filtered).unwrap();
        let packed = encoder.finish().unwrap();
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |kind: &[u8], content: &[u8]| {
            bytes.extend((content.len() as u32).to_be_bytes());
            bytes.extend(kind);
            bytes.extend(content);
            bytes.extend([0; 4]);
        };
        let kind = if channels == 3 { 2 } else { 6 };
        chunk(b"IHDR", &[0, 0, 0, width as u8, 0, 0, 0, height as u8, 8, kind, 0, 0, 0]);
        let (first, second) = packed.split_at(packed.len() / 2);
        chunk(b"IDAT", first);
        chunk(b"tEXt", b"whatever");
        chunk(b"IDAT", second);
        chunk(b"IEND", &[]);
        let pixels =
            (0..height).flat_map(|r| (0..line).filter(move |i| i % channels < 3).map(move |i| value(r, i)));
        (bytes, pixels.collect())
    }

    #[test]
    fn pictures_with_every_filter() {
        for channels in [3, 4] {
            let (bytes, pixels) = picture(channels);
            assert_eq!(decode(&bytes).unwrap(), (pixels, (5, 4)));
        }
    }

    #[test]
    fn damaged_pictures_are_refused() {
        let (bytes, _) = picture(3);
        // Without its last chunk's checksum a picture is still whole.
        for cut in 0..bytes.len() - 4 {
            assert!(decode(&bytes[..cut]).is_none(), "{cut}");
        }
        for i in 0..bytes.len() {
            let mut other = bytes.clone();
            other[i] ^= 0xff;
            let _ = decode(&other);
        }
    }
}
