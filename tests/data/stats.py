"""What pandas makes of events: `python3 stats.py > stats.json`, with pandas 3.

The tutorial's code, on the forms of dates and users that an API may send.
"""
import io
import json

import pandas

GMT = "Thu, 05 Jan 2023 00:00:00 GMT"
NEXT_GMT = "Fri, 06 Jan 2023 00:00:00 GMT"


def events(dates, users=None):
    users = users or ["10.0.0.1", "9.0.0.1", "10.0.0.1"]
    return [{"user": user, "date": date} for user, date in zip(users, dates)]


CASES = {
    "the tutorial's dates": events([NEXT_GMT, GMT, NEXT_GMT]),
    "a time of day": events([GMT, "Fri, 06 Jan 2023 01:02:03 GMT"]),
    "one digit for the day": events(["Thu, 5 Jan 2023 00:00:00 GMT"]),
    "RFC 2822 with an offset": events(["Thu, 05 Jan 2023 00:00:00 +0900"]),
    "ISO dates": events(["2023-01-06", "2023-01-05", "2023-01-06"]),
    "ISO midnights": events(["2023-01-05T00:00:00", "2023-01-06T00:00:00"]),
    "ISO times": events(["2023-01-05", "2023-01-06T01:02:03"]),
    "ISO with a blank": events(["2023-01-05 00:00:00", "2023-01-06 01:02:03"]),
    "ISO in UTC": events(["2023-01-05T00:00:00Z", "2023-01-06T00:00:00Z"]),
    "ISO with milliseconds": events(["2023-01-05T00:00:00.000Z", "2023-01-06T00:00:00.500Z"]),
    "ISO with microseconds": events(["2023-01-05T00:00:00.123456", "2023-01-06T00:00:00.500"]),
    "ISO with an offset": events(["2023-01-05T00:00:00+09:00", "2023-01-06T00:00:00+09:00"]),
    "ISO with a negative offset": events(["2023-01-05T00:00:00-03:30", "2023-01-06T00:00:00-03:30"]),
    "ISO with two offsets": events(["2023-01-05T00:00:00+09:00", "2023-01-06T00:00:00Z"]),
    "milliseconds since 1970": events([1672963200000, 1672876800000]),
    "milliseconds with a time of day": events([1672876800000, 1672963200001]),
    "seconds since 1970": events([1672963200, 1672876800]),
    "seconds as text": events(["1672963200", "1672876800"]),
    "numbers that are no dates": events([20230106, 1, 0]),
    "two forms": events([GMT, "2023-01-05"]),
    "no dates": events(["yesterday", "b", "a"]),
    "a date is missing": events([GMT, None, GMT]),
    "a user is missing": events([GMT, GMT], ["a", None]) + [{"date": GMT}],
    "users that are numbers": events([GMT, GMT, GMT], [10, 9, 9]),
    "users that are numbers as text": events([GMT, GMT, GMT], ["10", "9", "9"]),
    "some users are numbers": events([GMT, GMT, GMT], ["10", "9", "x"]),
    "users to quote": events([GMT] * 7, ["a,b", 'a"b', "a\nb", " a ", "가", "", "Z"]),
    "more keys": [{"date": GMT, "user": "a", "page": 1}],
}


def stats(of):
    frame = pandas.read_json(io.StringIO(json.dumps(of)))
    return frame.groupby(["date", "user"]).size().reset_index().to_csv(index=False)


cases = [{"name": name, "events": of, "csv": stats(of)} for name, of in CASES.items()]
lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
print(f"[\n{lines}\n]")
