//! Who of a group reads which queues: every member computes the same shares by itself.

use crate::route::BrokerQueue;

/// The share of `me`: a block of neighbouring queues; the first members get one more when it
/// does not come out even. Both lists are sorted. Nothing when `me` is not a member.
pub(crate) fn share_of(me: &str, members: &[String], queues: &[BrokerQueue]) -> Vec<BrokerQueue> {
    let Some(place) = members.iter().position(|member| member == me) else {
        return Vec::new();
    };
    let (even, left) = (queues.len() / members.len(), queues.len() % members.len());
    let start = place * even + place.min(left);
    let size = even + usize::from(place < left);
    queues[start..start + size].to_vec()
}

#[cfg(test)]
mod tests {
    use model::Topic;

    use super::*;

    #[track_caller]
    fn check(queues: u32, members: usize, expected: &[&[u32]]) {
        let topic = Topic::parse("t").expect("a topic's name");
        let queue = |number| BrokerQueue {
            topic: topic.clone(),
            broker: "a".into(),
            number,
        };
        let queues: Vec<BrokerQueue> = (0..queues).map(queue).collect();
        let members: Vec<String> = (0..members).map(|number| format!("c{number}")).collect();
        let share = |member: &String| -> Vec<u32> {
            let share = share_of(member, &members, &queues);
            share.iter().map(|queue| queue.number).collect()
        };
        assert_eq!(members.iter().map(share).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_queue_has_one_reader_and_the_first_members_have_one_more() {
        check(8, 1, &[&[0, 1, 2, 3, 4, 5, 6, 7]]);
        check(8, 3, &[&[0, 1, 2], &[3, 4, 5], &[6, 7]]);
        check(4, 4, &[&[0], &[1], &[2], &[3]]);
        check(2, 4, &[&[0], &[1], &[], &[]]);
        check(0, 2, &[&[], &[]]);
    }

    #[test]
    fn who_is_not_a_member_gets_nothing() {
        assert!(share_of("x", &["a".to_owned()], &[]).is_empty());
        assert!(share_of("x", &[], &[]).is_empty());
    }
}
