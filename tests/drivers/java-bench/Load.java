import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Measures a broker by the client's own producer and push consumer, as they come.
 *
 * <pre>
 * Load NAME_SERVER                    and on standard input a line for each run:
 * TOPIC QUEUES MODE THREADS BODY SECONDS WARM_UP MESSAGES RATE
 *
 * MODE      produce: one producer, whose threads wait for every answer
 *           drain:   the same, then a push consumer reads everything from the first offset
 *           live:    the push consumer reads while messages are sent
 * SECONDS   how long messages are sent, the WARM_UP included; MESSAGES are the most
 * RATE      messages a second that are due; 0 is as many as go
 * </pre>
 * The process stays for several runs because its compiler learns for longer than one of them takes.
 * Not measured is the sending until WARM_UP is over or half of MESSAGES is sent, and the reading of
 * that part. Whoever watches the broker's costs is told by a
 * line when a measured part begins and when it ends:
 * <pre>
 * sending | sent | reading | read
 * {…}                                 what was found, in one line, at the end of a run
 * </pre>
 * A body is the number of its message, the time it was due in ns, and filler.
 */
public final class Load {
    private static final PrintStream OUT =
        new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    /** Longest time for a route to be known, and without any message while some are missing. */
    private static final long PATIENCE = 30_000_000_000L;
    /** How long a message that nobody waits for may take to show itself, in ms. */
    private static final long GRACE = 300;
    private static final int SMALLEST_BODY = 16;

    private final String nameServer;
    private final String topic;
    private final int queues;
    private final int threads;
    private final byte[] filler;
    private final long seconds;
    private final long warmUp;
    private final long most;
    private final double rate;

    private final AtomicLong next = new AtomicLong();
    private final Marks acknowledged;
    private final Marks delivered;
    private final LongAdder refused = new LongAdder();
    private final LongAdder twice = new LongAdder();
    private final LongAdder unsent = new LongAdder();
    private volatile String refusal = "";
    private volatile boolean stopped;
    /** Since when messages are measured, by the time they are due. */
    private volatile long measuredFrom = Long.MAX_VALUE;

    private Load(String nameServer, String[] run) {
        this.nameServer = nameServer;
        topic = run[0];
        queues = Integer.parseInt(run[1]);
        threads = Integer.parseInt(run[3]);
        filler = new byte[Math.max(Integer.parseInt(run[4]), SMALLEST_BODY)];
        Random random = new Random(95);
        for (int at = 0; at < filler.length; at++) {
            filler[at] = (byte) ('a' + random.nextInt(26));
        }
        seconds = (long) (Double.parseDouble(run[5]) * 1e9);
        warmUp = (long) (Double.parseDouble(run[6]) * 1e9);
        most = Long.parseLong(run[7]);
        rate = Double.parseDouble(run[8]);
        acknowledged = new Marks(most);
        delivered = new Marks(most);
    }

    public static void main(String[] arguments) {
        // The client's logging talks on standard output, which is the protocol's.
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        BufferedReader runs = new BufferedReader(new InputStreamReader(System.in));
        try {
            for (String line = runs.readLine(); line != null; line = runs.readLine()) {
                String[] run = line.split(" ");
                // What an earlier run has left is not collected at this one's cost.
                System.gc();
                OUT.println(new Load(arguments[0], run).run(run[2]));
            }
            System.exit(0);
        } catch (Exception why) {
            why.printStackTrace();
            System.exit(1);
        }
    }

    private String run(String mode) throws Exception {
        Timed answers = new Timed();
        Timed arrivals = new Timed();
        Cost reading = new Cost();
        DefaultMQPushConsumer consumer = null;
        DefaultMQProducer producer = producer();
        if (mode.equals("live")) {
            consumer = consumer(arrivals);
        }
        long[] warm = new long[1];
        Cost sending = send(producer, answers, warm);
        producer.shutdown();
        switch (mode) {
            case "produce":
                break;
            case "drain":
                consumer = consumer(null);
                await(() -> delivered.count() >= warm[0]);
                reading.begin("reading", delivered.count());
                await(this::allDelivered);
                reading.end("read", delivered.count());
                break;
            case "live":
                await(this::allDelivered);
                break;
            default:
                throw new IllegalArgumentException(mode);
        }
        long lost = 0;
        if (consumer != null) {
            Thread.sleep(GRACE);
            consumer.shutdown();
            lost = acknowledged.without(delivered);
        }
        return String.format(
            "{\"sent\":%d,\"acknowledged\":%d,\"refused\":%d,\"refusal\":\"%s\",\"delivered\":%d,\"lost\":%d,"
                + "\"twice\":%d,\"unsent\":%d,\"sending\":%s,\"answers\":%s,\"reading\":%s,\"arrivals\":%s}",
            Math.min(next.get(), most), acknowledged.count(), refused.sum(), refusal.replaceAll("[^ -~]|[\"\\\\]", " "),
            delivered.count(), lost, twice.sum(), unsent.sum(), sending, answers.summary(), reading, arrivals.summary());
    }

    private DefaultMQProducer producer() throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(topic + "-producers");
        producer.setNamesrvAddr(nameServer);
        // A second attempt could store a message twice.
        producer.setRetryTimesWhenSendFailed(0);
        producer.start();
        long begun = System.nanoTime();
        // The name server learns of a new topic a moment after the broker has it.
        while (true) {
            try {
                if (producer.fetchPublishMessageQueues(topic).size() == queues) {
                    return producer;
                }
            } catch (Exception notYet) {
                if (System.nanoTime() - begun > PATIENCE) {
                    throw notYet;
                }
            }
            Thread.sleep(20);
        }
    }

    /** Sends to the end; in {@code warm} how many messages were acknowledged before the measured part. */
    private Cost send(DefaultMQProducer producer, Timed answers, long[] warm) throws Exception {
        long begun = System.nanoTime();
        List<Thread> senders = new ArrayList<>();
        for (int thread = 0; thread < threads; thread++) {
            int number = thread;
            senders.add(new Thread(() -> send(producer, answers, begun, number)));
        }
        for (Thread sender : senders) {
            sender.start();
        }
        while (System.nanoTime() - begun < warmUp && next.get() < most / 2) {
            Thread.sleep(2);
        }
        Cost cost = new Cost();
        warm[0] = acknowledged.count();
        measuredFrom = System.nanoTime();
        cost.begin("sending", 0);
        while (System.nanoTime() - begun < seconds && next.get() < most) {
            Thread.sleep(2);
        }
        stopped = true;
        for (Thread sender : senders) {
            sender.join();
        }
        cost.end("sent", answers.count());
        return cost;
    }

    private void send(DefaultMQProducer producer, Timed answers, long begun, int thread) {
        for (long turn = thread; !stopped; turn += threads) {
            long due = due(begun, turn);
            long number = next.getAndIncrement();
            if (number >= most) {
                return;
            }
            byte[] body = filler.clone();
            ByteBuffer.wrap(body).putLong(number).putLong(due);
            try {
                SendResult sent = producer.send(new Message(topic, body));
                if (sent.getSendStatus() != SendStatus.SEND_OK) {
                    refuse(sent.getSendStatus().name());
                    continue;
                }
                if (due >= measuredFrom) {
                    answers.record(System.nanoTime() - due);
                }
                acknowledged.add(number);
            } catch (Exception why) {
                refuse(why.toString());
            }
        }
    }

    /** Waits for the time of the next message, if there is one. */
    private long due(long begun, long turn) {
        if (rate == 0) {
            return System.nanoTime();
        }
        long due = begun + (long) (turn * 1e9 / rate);
        for (long left = due - System.nanoTime(); left > 0 && !stopped; left = due - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
        return due;
    }

    private void refuse(String why) {
        refused.increment();
        refusal = why;
    }

    /** A push consumer that reads from the first offset; {@code arrivals} takes the times from end to end. */
    private DefaultMQPushConsumer consumer(Timed arrivals) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(topic + "-consumers");
        consumer.setNamesrvAddr(nameServer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                ByteBuffer body = ByteBuffer.wrap(message.getBody());
                long number = body.getLong();
                long due = body.getLong();
                if (number < 0 || number >= next.get() || body.capacity() != filler.length) {
                    unsent.increment();
                } else if (!delivered.add(number)) {
                    twice.increment();
                } else if (arrivals != null && due >= measuredFrom) {
                    arrivals.record(System.nanoTime() - due);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    /** Counted first: to compare the sets takes longer. */
    private boolean allDelivered() {
        return delivered.count() >= acknowledged.count() && acknowledged.without(delivered) == 0;
    }

    /** Returns when it is so, or when no message has come for too long. */
    private void await(BooleanSupplier so) throws Exception {
        long before = -1;
        long since = System.nanoTime();
        while (!so.getAsBoolean()) {
            long now = delivered.count();
            if (now != before) {
                before = now;
                since = System.nanoTime();
            } else if (System.nanoTime() - since > PATIENCE) {
                return;
            }
            Thread.sleep(1);
        }
    }

    /** What a measured part took: its messages, its time, and this process's CPU. */
    private static final class Cost {
        private long messages;
        private long time;
        private long cpu;

        void begin(String said, long messages) {
            this.messages = -messages;
            time = -System.nanoTime();
            cpu = -cpu();
            OUT.println(said);
        }

        void end(String said, long messages) {
            OUT.println(said);
            this.messages += messages;
            time += System.nanoTime();
            cpu += cpu();
        }

        private static long cpu() {
            return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
        }

        @Override
        public String toString() {
            return String.format("{\"messages\":%d,\"seconds\":%.6f,\"cpu_seconds\":%.6f}", messages, time / 1e9, cpu / 1e9);
        }
    }

    /** A set of numbers below a bound, one bit each. */
    private static final class Marks {
        private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);
        private final long[] words;
        private final LongAdder count = new LongAdder();

        Marks(long bound) {
            words = new long[Math.toIntExact((bound + 63) / 64)];
        }

        /** False if it was there. */
        boolean add(long number) {
            long bit = 1L << number;
            boolean fresh = ((long) WORDS.getAndBitwiseOr(words, (int) (number / 64), bit) & bit) == 0;
            if (fresh) {
                count.increment();
            }
            return fresh;
        }

        long count() {
            return count.sum();
        }

        /** How many are here and not there. */
        long without(Marks there) {
            long missing = 0;
            for (int word = 0; word < words.length; word++) {
                missing += Long.bitCount(words[word] & ~there.words[word]);
            }
            return missing;
        }
    }

    /** Times in ns, told apart by less than one in a hundred: each power of two has 128 steps. */
    private static final class Timed {
        private static final int STEPS = 128;
        private final ConcurrentLinkedQueue<long[]> all = new ConcurrentLinkedQueue<>();
        private final ThreadLocal<long[]> own = ThreadLocal.withInitial(() -> {
            long[] counts = new long[STEPS * 58];
            all.add(counts);
            return counts;
        });

        void record(long nanoseconds) {
            own.get()[step(Math.max(nanoseconds, 1))]++;
        }

        long count() {
            return all.stream().flatMapToLong(Arrays::stream).sum();
        }

        private static int step(long value) {
            int shift = Math.max(0, 64 - Long.numberOfLeadingZeros(value) - 8);
            return shift * STEPS + (int) (value >>> shift);
        }

        /** The highest value of a step. */
        private static long value(int step) {
            int shift = Math.max(0, step / STEPS - 1);
            return ((step - (long) shift * STEPS + 1) << shift) - 1;
        }

        /** In µs, with the names of `Latency`; the buckets in ns. */
        String summary() {
            long[] counts = new long[STEPS * 58];
            for (long[] thread : all) {
                for (int step = 0; step < counts.length; step++) {
                    counts[step] += thread[step];
                }
            }
            long count = 0;
            double sum = 0;
            long max = 0;
            StringBuilder buckets = new StringBuilder();
            for (int step = 0; step < counts.length; step++) {
                if (counts[step] > 0) {
                    count += counts[step];
                    max = value(step);
                    sum += (double) max * counts[step];
                    buckets.append(buckets.length() == 0 ? "" : ",").append('[').append(max).append(',')
                        .append(counts[step]).append(']');
                }
            }
            return String.format(
                "{\"count\":%d,\"mean\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"p9999\":%.3f,"
                    + "\"max\":%.3f,\"buckets\":[%s]}",
                count, sum / Math.max(count, 1) / 1e3, at(counts, count, 0.5), at(counts, count, 0.9), at(counts, count, 0.99),
                at(counts, count, 0.999), at(counts, count, 0.9999), max / 1e3, buckets);
        }

        private static double at(long[] counts, long count, double quantile) {
            long left = (long) Math.ceil(count * quantile);
            for (int step = 0; step < counts.length && left > 0; step++) {
                left -= counts[step];
                if (left <= 0) {
                    return value(step) / 1e3;
                }
            }
            return 0;
        }
    }
}
