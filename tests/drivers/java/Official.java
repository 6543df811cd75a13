import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Every scenario of the Java client, of any version. Arguments: the name server, the prefix of the topics. */
public class Official {
    static String nameServer, prefix;
    static DefaultMQProducer producer;
    static final AtomicInteger[] SEEN = new AtomicInteger[8];
    static final int PLAIN = 0, ORDER = 1, BROADCAST = 2, TAG = 3, SQL = 4, LITE = 5, RETRY = 6;

    public static void main(String[] arguments) throws Exception {
        nameServer = arguments[0];
        prefix = arguments[1];
        Arrays.setAll(SEEN, i -> new AtomicInteger());
        producer = new DefaultMQProducer(prefix + "-producers");
        producer.setNamesrvAddr(nameServer);
        producer.setInstanceName("producer");
        producer.setSendMsgTimeout(20_000);
        producer.start();

        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        consumers.add(concurrent("plain", PLAIN, "one", MessageSelector.byTag("*")));
        for (String name : new String[] {"one", "two"}) {
            DefaultMQPushConsumer consumer = concurrent("broadcast", BROADCAST, name, MessageSelector.byTag("*"));
            broadcasting(consumer);
            consumers.add(consumer);
        }
        consumers.add(concurrent("tag", TAG, "one", MessageSelector.byTag("red || blue")));
        consumers.add(concurrent("sql", SQL, "one", MessageSelector.bySql("n > 10 AND colour IN ('red', 'blue')")));
        consumers.add(concurrent("retry", RETRY, "one", MessageSelector.byTag("*")));
        consumers.add(orderly());
        List<Thread> starts = new ArrayList<>();
        for (DefaultMQPushConsumer consumer : consumers) starts.add(run(() -> { consumer.start(); return null; }));
        Thread lite = run(() -> { litePull(); return null; });
        for (Thread start : starts) start.join();
        send();
        await("plain", PLAIN, 320);
        await("order", ORDER, 120);
        await("broadcast", BROADCAST, 80);
        await("tag", TAG, 40);
        await("sql", SQL, 33);
        await("retry", RETRY, 6);
        lite.join(60_000);
        for (DefaultMQPushConsumer consumer : consumers) consumer.shutdown();
        producer.shutdown();
        System.out.println("{\"done\":true}");
        System.exit(0);
    }

    static void send() throws Exception {
        for (int i = 0; i < 100; i++) sent(producer.send(message("plain", i)), message("plain", i).getKeys());
        CountDownLatch all = new CountDownLatch(100);
        for (int i = 100; i < 200; i++) {
            Message message = message("plain", i);
            producer.send(message, new SendCallback() {
                public void onSuccess(SendResult result) { sent(result, message.getKeys()); all.countDown(); }
                public void onException(Throwable why) { why.printStackTrace(); all.countDown(); }
            });
        }
        if (!all.await(60, TimeUnit.SECONDS)) throw new IllegalStateException("asynchronous sends were not answered");
        for (int i = 200; i < 300; i++) producer.sendOneway(message("plain", i));
        List<Message> batch = new ArrayList<>();
        for (int i = 300; i < 320; i++) batch.add(message("plain", i));
        producer.send(batch);
        for (int i = 0; i < 120; i++) {
            Message message = message("order", i);
            sent(producer.send(message, (queues, m, number) -> queues.get((Integer) number % queues.size()), i % 4), message.getKeys());
        }
        for (int i = 0; i < 40; i++) producer.send(message("broadcast", i));
        for (int i = 0; i < 60; i++) producer.send(message("tag", i));
        for (int i = 0; i < 60; i++) producer.send(message("sql", i));
        for (int i = 0; i < 60; i++) sent(producer.send(message("lite", i)), message("lite", i).getKeys());
        for (int i = 0; i < 3; i++) producer.send(message("retry", i));
    }

    /** Every tenth message is large enough to be compressed. */
    static String body(String key, int i) {
        return i % 10 == 9 ? ("body of " + key + ", ").repeat(1000) : "body of " + key;
    }

    static Message message(String scenario, int i) {
        String key = scenario + "-" + i;
        String colour = new String[] {"red", "green", "blue"}[i % 3];
        Message message = new Message(prefix + "-" + scenario, colour, key, body(key, i).getBytes(StandardCharsets.UTF_8));
        message.putUserProperty("n", Integer.toString(i));
        message.putUserProperty("colour", colour);
        message.putUserProperty("имя", "雪 " + i);
        return message;
    }

    static DefaultMQPushConsumer consumer(String scenario, String name) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(prefix + "-" + scenario);
        consumer.setNamesrvAddr(nameServer);
        consumer.setInstanceName(scenario + "-" + name);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        return consumer;
    }

    static DefaultMQPushConsumer concurrent(String scenario, int number, String name, MessageSelector selector) throws Exception {
        DefaultMQPushConsumer consumer = consumer(scenario, name);
        consumer.subscribe(prefix + "-" + scenario, selector);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) consumed(scenario, name, number, message);
            boolean fails = number == RETRY && messages.get(0).getReconsumeTimes() == 0;
            context.setDelayLevelWhenNextConsume(1);
            return fails ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return consumer;
    }

    static DefaultMQPushConsumer orderly() throws Exception {
        DefaultMQPushConsumer consumer = consumer("order", "one");
        consumer.subscribe(prefix + "-order", "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            for (MessageExt message : messages) consumed("order", "one", ORDER, message);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        return consumer;
    }

    /** The enumeration lies in another package in every major version. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    static void broadcasting(DefaultMQPushConsumer consumer) throws Exception {
        for (java.lang.reflect.Method method : DefaultMQPushConsumer.class.getMethods()) {
            if (method.getName().equals("setMessageModel")) {
                method.invoke(consumer, Enum.valueOf((Class) method.getParameterTypes()[0], "BROADCASTING"));
            }
        }
    }

    static void litePull() throws Exception {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(prefix + "-lite");
        consumer.setNamesrvAddr(nameServer);
        consumer.setInstanceName("lite");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        consumer.subscribe(prefix + "-lite", "*");
        consumer.start();
        long end = System.currentTimeMillis() + 90_000;
        while (SEEN[LITE].get() < 60 && System.currentTimeMillis() < end) {
            for (MessageExt message : consumer.poll(500)) consumed("lite", "one", LITE, message);
        }
        consumer.commitSync();
        for (MessageQueue queue : consumer.fetchMessageQueues(prefix + "-lite")) {
            long committed = -1;
            while (committed < 0 && System.currentTimeMillis() < end) committed = committed(consumer, queue);
            print("{\"committed\":" + committed + ",\"queue\":" + queue.getQueueId() + "}");
        }
        consumer.shutdown();
    }

    static long committed(DefaultLitePullConsumer consumer, MessageQueue queue) throws Exception {
        try {
            return consumer.committed(queue);
        } catch (Exception notYet) {
            Thread.sleep(50);
            return -1;
        }
    }

    static void sent(SendResult result, String key) {
        print("{\"sent\":\"" + key + "\",\"status\":\"" + result.getSendStatus() + "\",\"queue\":" + result.getMessageQueue().getQueueId()
            + ",\"offset\":" + result.getQueueOffset() + ",\"id\":\"" + result.getMsgId() + "\"}");
    }

    static void consumed(String scenario, String name, int number, MessageExt message) {
        String key = message.getKeys();
        int i = Integer.parseInt(key.substring(key.indexOf('-') + 1));
        String text = new String(message.getBody(), StandardCharsets.UTF_8);
        boolean whole = text.equals(body(key, i)) && ("雪 " + i).equals(message.getUserProperty("имя"));
        print("{\"consumed\":\"" + key + "\",\"scenario\":\"" + scenario + "\",\"by\":\"" + name + "\",\"queue\":" + message.getQueueId()
            + ",\"offset\":" + message.getQueueOffset() + ",\"id\":\"" + message.getMsgId() + "\",\"whole\":" + whole
            + ",\"times\":" + message.getReconsumeTimes() + "}");
        SEEN[number].incrementAndGet();
    }

    static synchronized void print(String line) { System.out.println(line); }

    static void await(String what, int number, int count) throws Exception {
        long end = System.currentTimeMillis() + 90_000;
        while (SEEN[number].get() < count) {
            if (System.currentTimeMillis() > end) { System.err.println(what + ": " + SEEN[number] + " of " + count); return; }
            Thread.sleep(20);
        }
    }

    static Thread run(Callable<Void> what) {
        Thread thread = new Thread(() -> {
            try { what.call(); } catch (Exception why) { why.printStackTrace(); }
        });
        thread.start();
        return thread;
    }
}
