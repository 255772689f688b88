//! What the operating system says of this process, under the names that Prometheus' own libraries give it. On Linux; elsewhere
//! these metrics are not there.

use std::fs;

use metrics::{counter, gauge};

/// Linux counts processor time in hundredths of a second here, on every machine.
const TICKS: u64 = 100;

/// Brings it into the metrics.
pub(crate) fn record() {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let (status, stat) = (read("/proc/self/status"), read("/proc/self/stat"));
    #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
    let set = |name: &'static str, value: Option<u64>| {
        if let Some(value) = value {
            gauge!(name).set(value as f64);
        }
    };
    set(
        "process_resident_memory_bytes",
        in_status(&status, "VmRSS:").map(|kib| kib * 1024),
    );
    set(
        "process_virtual_memory_bytes",
        in_status(&status, "VmSize:").map(|kib| kib * 1024),
    );
    set("process_threads", in_status(&status, "Threads:"));
    let open = fs::read_dir("/proc/self/fd").ok();
    set("process_open_fds", open.map(|open| open.count() as u64));
    set("process_max_fds", most_files(&read("/proc/self/limits")));
    let started = in_stat(&stat, 22).zip(boot(&read("/proc/stat")));
    set(
        "process_start_time_seconds",
        started.map(|(ticks, boot)| boot + ticks / TICKS),
    );
    if let (Some(user), Some(kernel)) = (in_stat(&stat, 14), in_stat(&stat, 15)) {
        counter!("process_cpu_seconds_total").absolute((user + kernel) / TICKS);
    }
}

/// A number of `/proc/self/status`.
fn in_status(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/self/stat`, counted from 1 as `proc(5)` does. The second is a name that may hold anything.
fn in_stat(stat: &str, field: usize) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(field.checked_sub(3)?)?.parse().ok()
}

fn most_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// When the machine was started, in seconds since 1970.
fn boot(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_linux_are_read() {
        let status = "Name:\tworker\nVmSize:\t   2048 kB\nVmRSS:\t     12 kB\nThreads:\t5\n";
        assert_eq!(in_status(status, "VmRSS:"), Some(12));
        assert_eq!(in_status(status, "Threads:"), Some(5));
        assert_eq!(in_status("", "Threads:"), None);
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4 9 0 0 0 250 50 0 0 20 0 5 0 4200 99 3";
        assert_eq!(
            [14, 15, 22].map(|field| in_stat(stat, field)),
            [Some(250), Some(50), Some(4200)]
        );
        assert_eq!(in_stat("", 14), None);
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096    files\n";
        assert_eq!(most_files(limits), Some(1024));
        assert_eq!(boot("cpu 1 2\nbtime 1790000000\n"), Some(1_790_000_000));
    }
}
