"""CloudWatch through boto3, and through each protocol that it speaks: what was measured is told, to whom it belongs, and nothing else.

Two minutes of two NAT gateways of two accounts, and of a balancer in two zones, end now."""

from __future__ import annotations

import datetime
import json
import time
import urllib.request
from urllib.error import HTTPError

import pytest
from botocore import parsers, serialize
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import rookery.api.scrape
from rookery.metrics.catalogue import BALANCERS, NAT_GATEWAY, NATS, Fold
from rookery.metrics.points import place_of
from rookery.metrics.resources import Measured
from rookery.metrics.series import Series
from rookery.testing.memory_store import MemoryStore
from rookery.testing.running_api import ACCESS_KEY, SECRET, RunningApi
from tests.api.test_aws_cli import cli
from tests.metrics.made import BALANCER, NAT, OTHER_NAT

ELSEWHERE = NAT._replace(region="eu-west-1", dimensions=(("NatGatewayId", "nat-3"),))
ZONE = Measured(BALANCER.account, BALANCER.region, BALANCERS, (("AvailabilityZone", "us-east-1a"), ("LoadBalancer", "net/web/1")))
OTHER_KEY, OTHER_SECRET = "AKIDOTHER", "secret-of-the-other"
LAST = int(time.time()) // 300 * 300  # begins the second minute, and a period of five minutes
LAST -= 0 if LAST % 86_400 else 300  # not a day
PROTOCOLS = ("smithy-rpc-v2-cbor", "json", "query")


def place(name: str) -> int:
    found = place_of(NAT_GATEWAY, name)
    assert found is not None
    return found


def nat_row(sent: int, active: tuple[int, int, int, int]):
    return {place("BytesInFromSource"): sent, place("ActiveConnectionCount"): active, place("PeakBytesPerSecond"): sent / 10}


def at(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(LAST + seconds, datetime.UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics")
    series = Series.open(folder / "metrics.db")
    rows = {(NAT, LAST - 60): nat_row(100, (6, 1, 3, 3)), (NAT, LAST): nat_row(250, (8, 4, 4, 2)), (OTHER_NAT, LAST): nat_row(7, (1, 1, 1, 1))}
    series.put(rows | {(ELSEWHERE, LAST): {}, (BALANCER, LAST): {}, (ZONE, LAST): {}}, {NAT: {place("BytesInFromSource"): 350}}, {})
    series.close()
    return folder


@pytest.fixture(scope="module")
def running(folder):
    with RunningApi(MemoryStore(), series=folder / "metrics.db", scrape_token=folder / "scrape.token") as running:
        running.add_key(OTHER_KEY, OTHER_SECRET, OTHER_NAT.account)
        yield running


@pytest.fixture(scope="module")
def cloudwatch(running):
    return running.client("cloudwatch")


def query(name="BytesInFromSource", statistic="Sum", period=60, gateway="nat-1", id="q", **more):
    metric = {"Namespace": NATS, "MetricName": name, "Dimensions": [{"Name": "NatGatewayId", "Value": gateway}]}
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic, **more}}


def ask(client, *queries, start=-60, end=60, **more):
    return client.get_metric_data(MetricDataQueries=list(queries), StartTime=at(start), EndTime=at(end), **more)


def told(client, *queries, **more):
    """Of the only query: values and times, the newest first."""
    (one,) = ask(client, *queries, **more)["MetricDataResults"]
    return [(value, when) for value, when in zip(one["Values"], one["Timestamps"], strict=True)]


def test_what_was_counted_is_told_minute_by_minute(cloudwatch):
    assert told(cloudwatch, query()) == [(250, at(0)), (100, at(-60))]
    assert told(cloudwatch, query(), ScanBy="TimestampAscending") == [(100, at(-60)), (250, at(0))]
    assert told(cloudwatch, query(), start=0) == [(250, at(0))]
    assert told(cloudwatch, query(), end=0) == [(100, at(-60))]
    assert told(cloudwatch, query("PacketsDropCount")) == [(0, at(0)), (0, at(-60))]


@pytest.mark.parametrize(("statistic", "value"), [("Sum", 14), ("Average", 2.8), ("Minimum", 1), ("Maximum", 4), ("SampleCount", 5)])
def test_statistics_of_a_period(cloudwatch, statistic, value):
    found = told(cloudwatch, query("ActiveConnectionCount", statistic, 86_400))
    assert found == [(value, at(-(LAST % 86_400)))]


def test_a_period_begins_at_its_multiple(cloudwatch):
    found = told(cloudwatch, query(period=300))
    assert found == [(250, at(0)), (100, at(-300))]


def test_nothing_is_told_of_what_is_not_measured(cloudwatch):
    for one in (query("BytesInFromSauce"), query(gateway="nat-9"), query(Unit="Seconds"), query(period=10)):
        (result,) = ask(cloudwatch, one)["MetricDataResults"]
        assert (result["Values"], result["StatusCode"]) == ([], "Complete")
    assert len(told(cloudwatch, query(Unit="Bytes"))) == 2


def test_an_account_is_told_what_is_its_own(running, cloudwatch):
    """Not of the other's gateway by its id, and not of its own in another region."""
    assert told(cloudwatch, query(gateway="nat-2")) == []
    assert told(cloudwatch, query(gateway="nat-3")) == []
    theirs = running.client("cloudwatch", access_key=OTHER_KEY, secret=OTHER_SECRET)
    assert told(theirs, query(gateway="nat-2")) == [(7, at(0))]
    assert told(theirs, query()) == []
    assert {one["Dimensions"][0]["Value"] for one in theirs.list_metrics()["Metrics"]} == {"nat-2"}


def test_pages_hold_so_many_values_and_no_value_twice(cloudwatch):
    queries = [query(id="a"), query("ActiveConnectionCount", "Maximum", id="b"), query("PacketsDropCount", id="c", gateway="nat-9"), query(id="hidden")]
    queries[-1]["ReturnData"] = False
    found, token, pages = {}, None, 0
    while token or not pages:
        page = ask(cloudwatch, *queries, MaxDatapoints=3, **({"NextToken": token} if token else {}))
        for one in page["MetricDataResults"]:
            found.setdefault(one["Id"], []).extend(one["Values"])
        states = {one["Id"]: one["StatusCode"] for one in page["MetricDataResults"]}
        assert states["b"] == ("Complete" if pages else "PartialData")
        token, pages = page.get("NextToken"), pages + 1
    assert (pages, found) == (2, {"a": [250, 100], "b": [4, 3], "c": []})


def test_a_token_is_good_for_its_own_question_only(cloudwatch, refused):
    token = ask(cloudwatch, query(), MaxDatapoints=1)["NextToken"]
    with refused("InvalidNextToken"):
        ask(cloudwatch, query("PacketsDropCount"), NextToken=token)
    with refused("InvalidNextToken"):
        cloudwatch.list_metrics(NextToken="bogus")


def test_metric_statistics(cloudwatch):
    asked = {"Namespace": NATS, "MetricName": "ActiveConnectionCount", "Dimensions": [{"Name": "NatGatewayId", "Value": "nat-1"}]}
    found = cloudwatch.get_metric_statistics(
        **asked, StartTime=at(-60), EndTime=at(60), Period=60, Statistics=["Maximum", "Average", "SampleCount"]
    )
    assert found["Label"] == "ActiveConnectionCount"
    assert found["Datapoints"] == [
        {"Timestamp": at(-60), "Maximum": 3, "Average": 2, "SampleCount": 3, "Unit": "Count"},
        {"Timestamp": at(0), "Maximum": 4, "Average": 4, "SampleCount": 2, "Unit": "Count"},
    ]


def listed(client, **asked):
    found = client.get_paginator("list_metrics").paginate(**asked).build_full_result()["Metrics"]
    return {(one["Namespace"], one["MetricName"], tuple((each["Name"], each["Value"]) for each in one["Dimensions"])) for one in found}


def test_metrics_are_listed_by_namespace_name_and_dimensions(cloudwatch):
    whole = listed(cloudwatch)
    assert {name for namespace, name, _ in whole if namespace == NATS} == {metric.name for metric in NAT_GATEWAY}
    assert listed(cloudwatch, Namespace=NATS, MetricName="IdleTimeoutCount") == {(NATS, "IdleTimeoutCount", NAT.dimensions)}
    flows = listed(cloudwatch, MetricName="NewFlowCount", Dimensions=[{"Name": "LoadBalancer"}])
    assert flows == {(BALANCERS, "NewFlowCount", BALANCER.dimensions), (BALANCERS, "NewFlowCount", ZONE.dimensions)}
    in_zone = listed(cloudwatch, MetricName="NewFlowCount", Dimensions=[{"Name": "AvailabilityZone", "Value": "us-east-1a"}])
    assert in_zone == {(BALANCERS, "NewFlowCount", ZONE.dimensions)}
    assert listed(cloudwatch, RecentlyActive="PT3H") == whole
    assert listed(cloudwatch, Namespace="AWS/EC2") == set()


def test_a_long_list_comes_in_pages(running, folder, cloudwatch):
    series = Series.open(folder / "metrics.db")
    many = [NAT._replace(region="ap-south-1", dimensions=(("NatGatewayId", f"nat-{n:03}"),)) for n in range(70)]
    series.put({(one, LAST): {} for one in many}, {}, {})
    series.close()
    client = running.client("cloudwatch", region="ap-south-1")
    assert len(client.list_metrics()["Metrics"]) == 500
    assert len(listed(client)) == 70 * len(NAT_GATEWAY)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"MetricDataQueries": []}, "ValidationError"),
        ({"MetricDataQueries": [query(id="Q")]}, "ValidationError"),
        ({"MetricDataQueries": [query(), query()]}, "ValidationError"),
        ({"MetricDataQueries": [{"Id": "q"}]}, "ValidationError"),
        ({"MetricDataQueries": [query(period=61)]}, "ValidationError"),
        ({"MetricDataQueries": [query(statistic="Median")]}, "ValidationError"),
        ({"MetricDataQueries": [query(statistic="p99")]}, "UnsupportedOperation"),
        ({"MetricDataQueries": [query(), {"Id": "e", "Expression": "q * 8 / 60"}]}, "UnsupportedOperation"),
        ({"MetricDataQueries": [query() | {"AccountId": OTHER_NAT.account}]}, "UnsupportedOperation"),
        ({"MetricDataQueries": [query() | {"Label": "${MAX}"}]}, "UnsupportedOperation"),
        ({"EndTime": at(-60)}, "ValidationError"),
        ({"MaxDatapoints": 100_801}, "ValidationError"),
    ],
)
def test_a_question_for_data_that_makes_no_sense_is_refused(cloudwatch, refused, changed, code):
    with refused(code):
        cloudwatch.get_metric_data(**{"MetricDataQueries": [query()], "StartTime": at(-60), "EndTime": at(60), **changed})


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Statistics": []}, "MissingParameter"),
        ({"Statistics": ["Sum"], "ExtendedStatistics": ["p99"]}, "InvalidParameterCombination"),
        ({"Statistics": [], "ExtendedStatistics": ["p99"]}, "UnsupportedOperation"),
        ({"Period": 90}, "InvalidParameterValue"),
        ({"StartTime": at(60)}, "InvalidParameterValue"),
        ({"StartTime": at(-86_400)}, "InvalidParameterCombination"),
    ],
)
def test_a_question_for_statistics_that_makes_no_sense_is_refused(cloudwatch, refused, changed, code):
    asked = {"Namespace": NATS, "MetricName": "x", "StartTime": at(-60), "EndTime": at(60), "Period": 60, "Statistics": ["Sum"]}
    given = {name: value for name, value in (asked | changed).items() if value != []}
    with refused(code):
        cloudwatch.get_metric_statistics(**given)


def test_a_modelled_error_is_of_its_own_class(cloudwatch):
    with pytest.raises(cloudwatch.exceptions.InvalidParameterCombinationException):
        cloudwatch.get_metric_statistics(
            Namespace=NATS, MetricName="x", StartTime=at(-86_400), EndTime=at(60), Period=60, Statistics=["Sum"]
        )


def test_what_is_not_built_is_said(cloudwatch, refused):
    with refused("UnsupportedOperation"):
        cloudwatch.put_metric_data(Namespace="Mine", MetricData=[{"MetricName": "x", "Value": 1}])
    with refused("UnsupportedOperation"):
        cloudwatch.describe_alarms()


def send(running, service, path, headers, body):
    request = AWSRequest("POST", f"{running.url}{path}", headers, body)
    SigV4Auth(Credentials(ACCESS_KEY, SECRET), service, "us-east-1").add_auth(request)
    sent = urllib.request.Request(f"{running.url}{path}", body, dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent) as answer:
            return {"status_code": answer.status, "headers": {k.lower(): v for k, v in answer.headers.items()}, "body": answer.read()}
    except HTTPError as refusal:
        return {"status_code": refusal.code, "headers": {k.lower(): v for k, v in refusal.headers.items()}, "body": refusal.read()}


def by(protocol, running, client, operation, **parameters):
    """As botocore writes a request in this protocol, and reads the answer."""
    model = client.meta.service_model.operation_model(operation)
    made = serialize.create_serializer(protocol).serialize_to_request(parameters, model)
    body = made["body"]
    if isinstance(body, dict):
        body = urllib.parse.urlencode(body).encode()
    answer = send(running, "monitoring", made["url_path"], made["headers"], body)
    return parsers.create_parser(protocol).parse(answer, model.output_shape), answer


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_of_the_model_is_spoken(running, cloudwatch, protocol):
    found, answer = by(protocol, running, cloudwatch, "GetMetricData", MetricDataQueries=[query()], StartTime=at(-60), EndTime=at(60))
    (one,) = found["MetricDataResults"]
    assert (one["Values"], one["Timestamps"]) == ([250, 100], [at(0), at(-60)])
    assert answer["status_code"] == 200
    found, _ = by(protocol, running, cloudwatch, "ListMetrics", MetricName="IdleTimeoutCount")
    assert found["Metrics"][0]["Dimensions"] == [{"Name": "NatGatewayId", "Value": "nat-1"}]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("parameters", "code"), [({"NextToken": "bogus"}, "InvalidNextToken"), ({"OwningAccount": "210987654321"}, "UnsupportedOperation")])
def test_every_protocol_tells_errors(running, cloudwatch, protocol, parameters, code):
    found, answer = by(protocol, running, cloudwatch, "ListMetrics", **parameters)
    assert found["Error"]["Code"] == code and found["Error"]["Message"]
    assert answer["status_code"] == 400


@pytest.mark.parametrize(
    ("service", "target", "body", "code"),
    [
        ("monitoring", "GraniteServiceVersion20100801.MakeTea", b"{}", "UnknownOperationException"),
        ("monitoring", "DynamoDB_20120810.ListMetrics", b"{}", "UnknownOperationException"),
        ("ec2", "GraniteServiceVersion20100801.ListMetrics", b"{}", "UnknownOperationException"),
        ("monitoring", "GraniteServiceVersion20100801.ListMetrics", b"{", "SerializationException"),
        ("monitoring", "GraniteServiceVersion20100801.ListMetrics", b"[]", "ValidationError"),
        ("monitoring", "GraniteServiceVersion20100801.ListMetrics", b'{"Sauce": 1}', "ValidationError"),
        ("monitoring", "GraniteServiceVersion20100801.ListMetrics", b'{"Namespace": 1}', "ValidationError"),
        ("monitoring", "GraniteServiceVersion20100801.ListMetrics", b"[" * 100_000, "SerializationException"),
        ("monitoring", "GraniteServiceVersion20100801.GetMetricData", b"{}", "ValidationError"),
        ("dynamodb", "DynamoDB_20120810.ListTables", b"{}", "UnsupportedOperation"),
    ],
)  # fmt: skip
def test_a_structured_request_that_no_sdk_sends_is_told_what_is_wrong(running, service, target, body, code):
    answer = send(running, service, "/", {"X-Amz-Target": target}, body)
    assert (answer["status_code"], answer["headers"]["x-amzn-query-error"]) == (400, f"{code};Sender")
    assert json.loads(answer["body"])["message"]


def scrape(running, **headers):
    asked = urllib.request.Request(f"{running.url}/metrics", headers=headers)
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def test_prometheus_reads_the_same_numbers_and_shows_the_regions_token(running, folder, monkeypatch):
    """The minutes were new when the tests began: how old they may be is said here."""
    token = (folder / "scrape.token").read_text().strip()
    monkeypatch.setattr(rookery.api.scrape, "SHOWN_SECONDS", -300)
    assert scrape(running, Authorization=f"Bearer {token}") == (200, "")
    monkeypatch.setattr(rookery.api.scrape, "SHOWN_SECONDS", 86_400)
    status, text = scrape(running, Authorization=f"Bearer {token}")
    lines = text.splitlines()
    labels = 'account="123456789012",region="us-east-1",nat_gateway_id="nat-1"'
    assert status == 200
    assert f"aws_nat_gateway_bytes_in_from_source_total{{{labels}}} 350" in lines
    assert f"aws_nat_gateway_active_connection_count{{{labels}}} 4.0" in lines
    assert "# TYPE aws_nat_gateway_bytes_in_from_source_total counter" in lines
    assert "# TYPE aws_nat_gateway_active_connection_count gauge" in lines
    zones = [line for line in lines if line.startswith("aws_network_elb_new_flow_count_total")]
    assert len(zones) == 1 and 'availability_zone="us-east-1a"' in zones[0]
    assert len(lines) == len(set(lines))
    kinds = {line.split()[3] for line in lines if line.startswith("# TYPE")}
    assert kinds == {"counter", "gauge"} and {Fold.SUM, Fold.LEVEL, Fold.OBSERVED, Fold.PEAK} == set(Fold)


@pytest.mark.parametrize("shown", ["", "Bearer ", "Bearer wrong", "Basic abc"])
def test_without_the_token_prometheus_is_told_nothing(running, folder, shown):
    status, text = scrape(running, **({"Authorization": shown} if shown else {}))
    assert status == 401 and "aws_" not in text
    assert (folder / "scrape.token").stat().st_mode & 0o777 == 0o600


def test_where_nothing_is_measured_yet_there_are_no_metrics(tmp_path):
    with RunningApi(MemoryStore(), series=tmp_path / "metrics.db") as empty:
        client = empty.client("cloudwatch")
        assert client.list_metrics()["Metrics"] == []
        assert told(client, query()) == []
        assert scrape(empty)[0] != 200


def test_a_file_that_cannot_be_read_is_no_answer(tmp_path, refused):
    (tmp_path / "metrics.db").write_bytes(b"no database" * 1000)
    with RunningApi(MemoryStore(), series=tmp_path / "metrics.db") as broken, refused("InternalServiceError"):
        broken.client("cloudwatch").list_metrics()


def test_the_aws_cli_asks_for_metrics(running):
    found = json.loads(cli(running.url, "cloudwatch")("list-metrics --metric-name IdleTimeoutCount --output json"))
    assert found["Metrics"][0]["Dimensions"] == [{"Name": "NatGatewayId", "Value": "nat-1"}]
