import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends through a broker that is killed again and again, reads beside it, and reads it all at the end.
 *
 * <pre>
 * Kills NAME_SERVERS TOPIC QUEUES THREADS
 * S id queue ms                                       about to be sent; every attempt has an id of its own
 * A id unique-key offset-id queue queue-offset ms     acknowledged at ms since 1970
 * L id unique-key offset-id queue queue-offset        read while the broker comes and goes
 * D id unique-key offset-id queue queue-offset        read from the beginning at the end
 * N queue from to                                     the queue's bounds before the last reading
 * E                                                   everything is read
 * </pre>
 * A line on standard input ends the sending. The body proves its own content by length and checksum.
 */
public final class Kills {
    private static final PrintStream OUT = new PrintStream(
        new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16), false, StandardCharsets.UTF_8);
    private static volatile boolean stopped;

    public static void main(String[] arguments) throws Exception {
        String nameServers = arguments[0];
        String topic = arguments[1];
        int queues = Integer.parseInt(arguments[2]);
        int threads = Integer.parseInt(arguments[3]);
        // The client's logging talks on standard output, which is the protocol's.
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        Thread flusher = new Thread(() -> {
            while (true) {
                rest(5);
                OUT.flush();
            }
        });
        flusher.setDaemon(true);
        flusher.start();
        DefaultMQProducer producer = new DefaultMQProducer("kills");
        producer.setNamesrvAddr(nameServers);
        producer.setDefaultTopicQueueNums(queues);
        producer.setRetryTimesWhenSendFailed(0);
        producer.setSendMsgTimeout(3000);
        producer.start();
        // The first message makes the topic; until a queue is known there is nothing to choose from.
        while (true) {
            try {
                producer.send(new Message(topic, "x".getBytes(StandardCharsets.UTF_8)));
                break;
            } catch (Exception notYet) {
                Thread.sleep(20);
            }
        }
        List<MessageQueue> all = queuesOf(producer, topic, queues);
        Thread reader = new Thread(() -> follow(nameServers, all));
        reader.start();
        List<Thread> senders = new ArrayList<>();
        for (int thread = 0; thread < threads; thread++) {
            int number = thread;
            senders.add(new Thread(() -> send(producer, all, number)));
        }
        for (Thread sender : senders) {
            sender.start();
        }
        new BufferedReader(new InputStreamReader(System.in)).readLine();
        stopped = true;
        for (Thread sender : senders) {
            sender.join();
        }
        reader.join();
        drain(nameServers, all);
        say("E");
        OUT.flush();
        System.exit(0);
    }

    private static List<MessageQueue> queuesOf(DefaultMQProducer producer, String topic, int queues) throws Exception {
        while (true) {
            try {
                List<MessageQueue> found = producer.fetchPublishMessageQueues(topic);
                if (found.size() == queues) {
                    return found;
                }
            } catch (Exception notYet) {
                // The name server learns of a new topic a moment after the broker has it.
            }
            Thread.sleep(20);
        }
    }

    private static void send(DefaultMQProducer producer, List<MessageQueue> queues, int thread) {
        for (int sequence = 0; !stopped; sequence++) {
            MessageQueue queue = queues.get((thread + sequence) % queues.size());
            String id = thread + "-" + sequence;
            Message message = new Message(queue.getTopic(), body(id));
            say("S " + id + " " + queue.getQueueId() + " " + System.currentTimeMillis());
            try {
                SendResult sent = producer.send(message, queue);
                if (sent.getSendStatus() == SendStatus.SEND_OK) {
                    say("A " + id + " " + sent.getMsgId() + " " + sent.getOffsetMsgId() + " "
                        + sent.getMessageQueue().getQueueId() + " " + sent.getQueueOffset() + " " + System.currentTimeMillis());
                }
            } catch (Exception down) {
                rest(5);
            }
        }
    }

    /** Reads every queue in turn, from its beginning, for as long as messages are sent. */
    private static void follow(String nameServers, List<MessageQueue> queues) {
        long[] next = new long[queues.size()];
        DefaultMQPullConsumer consumer = consumer(nameServers, "kills-follow");
        while (!stopped) {
            for (int index = 0; index < next.length && !stopped; index++) {
                try {
                    next[index] = pull(consumer, queues.get(index), next[index], "L");
                } catch (Exception down) {
                    rest(20);
                }
            }
            rest(5);
        }
        consumer.shutdown();
    }

    private static void drain(String nameServers, List<MessageQueue> queues) throws Exception {
        DefaultMQPullConsumer consumer = consumer(nameServers, "kills-drain");
        for (MessageQueue queue : queues) {
            long from = consumer.minOffset(queue);
            long to = consumer.maxOffset(queue);
            say("N " + queue.getQueueId() + " " + from + " " + to);
            while (from < to) {
                from = pull(consumer, queue, from, "D");
            }
        }
    }

    private static long pull(DefaultMQPullConsumer consumer, MessageQueue queue, long from, String kind) throws Exception {
        PullResult pulled = consumer.pull(queue, "*", from, 32);
        if (pulled.getPullStatus() != PullStatus.FOUND) {
            return from;
        }
        for (MessageExt message : pulled.getMsgFoundList()) {
            String offsetId = MessageDecoder.createMessageId(message.getStoreHost(), message.getCommitLogOffset());
            say(kind + " " + identify(message.getBody()) + " " + message.getMsgId() + " " + offsetId + " "
                + message.getQueueId() + " " + message.getQueueOffset());
        }
        return pulled.getNextBeginOffset();
    }

    private static DefaultMQPullConsumer consumer(String nameServers, String group) {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(group);
        consumer.setNamesrvAddr(nameServers);
        try {
            consumer.start();
        } catch (Exception why) {
            throw new IllegalStateException(why);
        }
        return consumer;
    }

    /** The id, padded to a length that follows from it, and a checksum: 64 B to 2 KiB. */
    private static byte[] body(String id) {
        int length = 64 + (id.hashCode() & 0x7ff);
        byte[] body = Arrays.copyOf((id + " ").getBytes(StandardCharsets.UTF_8), length);
        byte[] sum = String.format("%08x", checksum(body, length - 8)).getBytes(StandardCharsets.UTF_8);
        System.arraycopy(sum, 0, body, length - 8, 8);
        return body;
    }

    /** The id of a whole body, or what it is instead. */
    private static String identify(byte[] body) {
        String text = new String(body, StandardCharsets.UTF_8);
        if (text.equals("x")) {
            return "first";
        }
        String id = text.split(" ", 2)[0];
        return Arrays.equals(body, body(id)) ? id : "damaged";
    }

    private static long checksum(byte[] bytes, int length) {
        CRC32 sum = new CRC32();
        sum.update(bytes, 0, length);
        return sum.getValue();
    }

    private static void say(String line) {
        OUT.print(line + "\n");
    }

    private static void rest(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException why) {
            throw new IllegalStateException(why);
        }
    }
}
