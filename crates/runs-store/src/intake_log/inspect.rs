//! A look at the log from outside, whether a worker has it open or not.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;

use super::damage::{Gap, LogDamage};
use super::folder::segment_files;
use super::record::{Imprint, decode};
use super::segment::{Identity, SPARE, Segment, SegmentHeader};
use super::walk::{Step, Stretch, Walk};
use super::{IntakeLogError, LogId, Position};
use crate::desks::NewNotification;
use crate::guard;

/// How a log stands, seen from outside.
#[derive(Debug)]
#[non_exhaustive]
pub struct LogInspection {
    /// Which log it is.
    pub id: LogId,
    /// The position of the first record in it; `None` if there is none.
    pub first: Option<Position>,
    /// The position of the last one.
    pub last: Option<Position>,
    /// How many there are. Those that are released may be among them.
    pub records: u64,
    /// What is damaged. While a worker writes, what it writes may look torn.
    pub damage: LogDamage,
    segments: Vec<(Segment, Stretch)>,
}

impl LogInspection {
    /// The notifications after this position, in order. What cannot be read is left out.
    pub fn records(&self, after: Position) -> impl Iterator<Item = (Position, NewNotification)> + '_ {
        self.segments
            .iter()
            .filter(move |(_, stretch)| stretch.next_segment > after.0)
            .flat_map(|(segment, stretch)| Records {
                walk: Walk::new(segment, *stretch),
            })
            .filter(move |(position, _)| *position > after)
    }

    fn look(&mut self) -> Result<(), IntakeLogError> {
        for (segment, stretch) in &self.segments {
            let failed = |error: io::Error| IntakeLogError::unavailable(&segment.path, &error);
            let mut walk = Walk::new(segment, *stretch);
            let (generation, mut gaps) = (stretch.imprint.generation, Vec::new());
            loop {
                let at = walk.at();
                match walk.step().map_err(failed)? {
                    Step::Record { number, .. } => {
                        self.first.get_or_insert(Position(number));
                        self.last = Some(Position(number));
                        self.records += 1;
                    }
                    Step::Damage { bytes } => gaps.push(Gap { generation, at, bytes }),
                    Step::End { torn_bytes: bytes } => {
                        gaps.push(Gap { generation, at, bytes });
                        break;
                    }
                }
            }
            // A worker may have begun to use the file for something else meanwhile.
            if is_still(segment, stretch.imprint).map_err(failed)? {
                gaps.into_iter().for_each(|gap| self.damage.found(gap));
            }
        }
        Ok(())
    }
}

fn is_still(segment: &Segment, imprint: Imprint) -> io::Result<bool> {
    Ok(match segment.identify()? {
        Identity::Segment { header, .. } => header.imprint() == imprint,
        Identity::Damaged | Identity::Foreign => false,
    })
}

struct Records<'a> {
    walk: Walk<'a>,
}

impl Iterator for Records<'_> {
    type Item = (Position, NewNotification);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.walk.step() {
                Ok(Step::Record { number, payload }) => {
                    if let Some(notification) = decode(&payload) {
                        return Some((Position(number), notification));
                    }
                }
                Ok(Step::Damage { .. }) => {}
                Ok(Step::End { .. }) | Err(_) => return None,
            }
        }
    }
}

/// Looks at the log in these folders, changing nothing; `None` if there is none.
///
/// # Errors
/// [`IntakeLogError`].
pub fn inspect(folders: &[PathBuf]) -> Result<Option<LogInspection>, IntakeLogError> {
    let mut headers: Vec<(Segment, SegmentHeader, u64)> = Vec::new();
    let mut damage = LogDamage::default();
    for (number, folder) in folders.iter().enumerate() {
        let failed = |error: io::Error| IntakeLogError::unavailable(folder, &error);
        let paths = match segment_files(folder) {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for path in paths {
            let file = match guard::open(OpenOptions::new().read(true), &path) {
                Ok(file) => file,
                // A worker has let it go.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            let segment = Segment::new(file, path, number).map_err(failed)?;
            match segment.identify().map_err(failed)? {
                Identity::Segment { header, limit, .. } => headers.push((segment, header, limit)),
                Identity::Damaged => damage.lost(segment.length),
                Identity::Foreign => return Err(IntakeLogError::NotALog { path: segment.path }),
            }
        }
    }
    let Some(id) = headers.first().map(|(_, header, _)| header.log) else {
        return Ok(None);
    };
    headers.retain(|(_, header, _)| header.generation != SPARE && header.log == id);
    headers.sort_by_key(|(_, header, _)| header.generation);
    let mut inspection = LogInspection {
        id,
        first: None,
        last: None,
        records: 0,
        damage,
        segments: stretches(headers),
    };
    inspection.look()?;
    Ok(Some(inspection))
}

fn stretches(headers: Vec<(Segment, SegmentHeader, u64)>) -> Vec<(Segment, Stretch)> {
    let firsts: Vec<u64> = headers.iter().map(|(_, header, _)| header.first).collect();
    let following = firsts.into_iter().skip(1).chain([u64::MAX]);
    headers
        .into_iter()
        .zip(following)
        .map(|((segment, header, limit), next_segment)| {
            let stretch = Stretch {
                next_segment,
                ..Stretch::whole(header, limit)
            };
            (segment, stretch)
        })
        .collect()
}
