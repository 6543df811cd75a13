"""Every scenario of the C++ client. Arguments: the name server, the prefix of the topics."""
import json
import sys
import threading
import time

from rocketmq.client import Message, Producer, PushConsumer
from rocketmq.ffi import MessageModel

NAME_SERVER, PREFIX = sys.argv[1:3]
PRINTING = threading.Lock()


def say(**line):
    with PRINTING:
        print(json.dumps(line), flush=True)


def body(key, i):
    """Every tenth message is large enough to be compressed."""
    return ("body of %s, " % key) * 1000 if i % 10 == 9 else "body of " + key


def message(scenario, i):
    key, colour = "%s-%d" % (scenario, i), ("red", "green", "blue")[i % 3]
    m = Message("%s-%s" % (PREFIX, scenario))
    m.set_keys(key)
    m.set_tags(colour)
    m.set_property("n", str(i))
    m.set_body(body(key, i))
    return m


class Consumer:
    def __init__(self, scenario, by, expression="*", orderly=False, model=MessageModel.CLUSTERING):
        self.seen = 0
        self.running = PushConsumer("%s-%s" % (PREFIX, scenario), orderly=orderly, message_model=model)
        self.running.set_namesrv_addr(NAME_SERVER)
        self.running.set_instance_name("%s-%s" % (scenario, by))

        def consumed(m):
            key = m.keys.decode()
            i = int(key.rsplit("-", 1)[1])
            whole = m.body.decode() == body(key, i) and m.get_property("n") == str(i).encode()
            say(consumed=key, scenario=scenario, by=by, queue=m.queue_id, offset=m.queue_offset, id=m.id, whole=whole, times=m.reconsume_times)
            self.seen += 1

        self.running.subscribe("%s-%s" % (PREFIX, scenario), consumed, expression)
        self.running.start()

    def wait(self, what, count):
        end = time.time() + 90
        while self.seen < count:
            if time.time() > end:
                print("%s: %d of %d" % (what, self.seen, count), file=sys.stderr, flush=True)
                return
            time.sleep(0.02)


broadcasting = {"model": MessageModel.BROADCASTING}
consumers = [
    (Consumer("plain", "one"), "plain", 250),
    (Consumer("order", "one", orderly=True), "order", 120),
    (Consumer("broadcast", "one", **broadcasting), "broadcast", 40),
    (Consumer("broadcast", "two", **broadcasting), "broadcast", 40),
    (Consumer("tag", "one", "red || blue"), "tag", 40),
]
producer = Producer(PREFIX + "-producers")
producer.set_namesrv_addr(NAME_SERVER)
producer.set_timeout(20000)
producer.start()
for i in range(200):
    r = producer.send_sync(message("plain", i))
    say(sent="plain-%d" % i, status="SEND_OK" if r.status.name == "OK" else r.status.name, offset=r.offset, id=r.msg_id)
for i in range(200, 250):
    producer.send_oneway(message("plain", i))
for i in range(120):
    r = producer.send_orderly(message("order", i), i % 4)
    say(sent="order-%d" % i, status="SEND_OK" if r.status.name == "OK" else r.status.name, offset=r.offset, id=r.msg_id)
for scenario, count in (("broadcast", 40), ("tag", 60)):
    for i in range(count):
        producer.send_sync(message(scenario, i))
for consumer, what, count in consumers:
    consumer.wait(what, count)
for consumer, _, _ in consumers:
    consumer.running.shutdown()
producer.shutdown()
say(done=True)
