//! The tutorial's events, by another generator: 30 days that end before 2023-01-31, each with 50 to 99 users and 200 to
//! 1999 events; the same at every start.

/// One event: the day of January 2023, from 1, and the user.
pub type Event = (u32, String);

/// All events, in the order in which they are sent.
pub fn all() -> Vec<Event> {
    (1..=30).flat_map(of_day).collect()
}

fn of_day(day: u32) -> Vec<Event> {
    let mut random = SplitMix64(u64::from(day));
    let users = 50 + random.below(50);
    let events = 200 + random.below(1_800);
    let users: Vec<String> = (0..users)
        .map(|_| [(); 4].map(|()| random.below(256).to_string()).join("."))
        .collect();
    let mut user = || users[random.below(users.len())].clone();
    (0..events).map(|_| (day, user())).collect()
}

/// The answer to `/events`: from `start_date` on, and before `end_date`, both as `2023-01-05`.
pub fn json(start_date: Option<&str>, end_date: Option<&str>) -> String {
    let mut events = all();
    events.retain(|(day, _)| {
        let date = format!("2023-01-{day:02}");
        start_date.is_none_or(|start| *date >= *start) && end_date.is_none_or(|end| *date < *end)
    });
    let events = events.iter().map(|(day, user)| {
        // The first of January 2023 was a Sunday.
        let weekday = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"][*day as usize % 7];
        format!("{{\"date\":\"{weekday}, {day:02} Jan 2023 00:00:00 GMT\",\"user\":\"{user}\"}}")
    });
    format!("[{}]\n", events.collect::<Vec<_>>().join(","))
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}
