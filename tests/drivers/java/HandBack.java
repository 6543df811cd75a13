import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** A store before and after it is handed back. Arguments: the name server; what to do; its arguments. */
public class HandBack {
    static final String TOPIC = "HandBack", DELAYED = "HandBackDelay", GROUP = "GID_hand_back";
    static final int PLAIN = 40;
    static DefaultMQAdminExt admin;
    static DefaultMQProducer producer;

    public static void main(String[] arguments) throws Exception {
        admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(arguments[0]);
        admin.setInstanceName("admin");
        admin.start();
        producer = new DefaultMQProducer("PID_hand_back");
        producer.setNamesrvAddr(arguments[0]);
        producer.setInstanceName("producer");
        producer.start();
        switch (arguments[1]) {
            case "fill": fill(arguments[2]); break;
            case "delay": delay(); break;
            case "consume": consume(arguments[0], Integer.parseInt(arguments[2])); break;
            case "state": state(); break;
            case "send": send(arguments[2]); break;
            default: throw new IllegalArgumentException(arguments[1]);
        }
        System.out.println("{\"done\":true}");
        System.exit(0);
    }

    static MessageQueue queue(int number) { return new MessageQueue(TOPIC, "broker-a", number); }

    static void fill(String broker) throws Exception {
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(TOPIC, 4, 4));
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(DELAYED, 1, 1));
        for (int tries = 0; tries < 50; tries++) {
            try { if (admin.examineTopicRouteInfo(DELAYED) != null) break; } catch (Exception e) { Thread.sleep(200); }
        }
        for (int i = 0; i < PLAIN; i++) {
            Message message = new Message(TOPIC, i % 2 == 0 ? "TagA" : "TagB", "hb-" + i + " all", ("plain " + i).getBytes(StandardCharsets.UTF_8));
            producer.send(message, queue(i % 4));
        }
        Random random = new Random(7);
        for (int i = 0; i < 12; i++) {
            byte[] body = new byte[60_000];
            if (i % 3 > 0) random.nextBytes(body); else Arrays.fill(body, (byte) ('a' + i));
            producer.send(new Message(TOPIC, "Large", "large-" + i, body), queue(i % 4));
        }
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < 10; i++) batch.add(new Message(TOPIC, "Batch", "batch-" + i, ("batch " + i).getBytes(StandardCharsets.UTF_8)));
        producer.send(batch, queue(2));
    }

    /** Three that are due soon, three in a minute, two in two hours. */
    static void delay() throws Exception {
        int[] levels = {1, 1, 1, 5, 5, 5, 18, 18};
        for (int i = 0; i < levels.length; i++) {
            Message message = new Message(DELAYED, "Level" + levels[i], "delayed-" + i, ("delayed " + i).getBytes(StandardCharsets.UTF_8));
            message.setDelayTimeLevel(levels[i]);
            producer.send(message);
        }
        Thread.sleep(4_000);
    }

    /** Consumes until so many messages have come; the first attempt of one of them fails. */
    static void consume(String names, int wanted) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(GROUP);
        consumer.setNamesrvAddr(names);
        consumer.setInstanceName("consumer");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(TOPIC, "*");
        Map<String, String> seen = new ConcurrentHashMap<>();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            MessageExt message = messages.get(0);
            String line = "{\"key\":\"" + message.getKeys() + "\",\"queue\":" + message.getQueueId() + ",\"offset\":" + message.getQueueOffset()
                + ",\"attempts\":" + message.getReconsumeTimes() + ",\"id\":\"" + message.getMsgId() + "\"}";
            seen.put(message.getMsgId() + message.getReconsumeTimes(), line);
            boolean fails = "hb-3 all".equals(message.getKeys()) && message.getReconsumeTimes() == 0;
            return fails ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        for (int tries = 0; tries < 900 && seen.size() < wanted; tries++) Thread.sleep(100);
        Thread.sleep(1_500);
        consumer.shutdown();
        for (String line : seen.values()) System.out.println(line);
    }

    /** What mqadmin's topicStatus, consumerProgress and queryMsgByKey ask for. */
    static void state() throws Exception {
        Map<String, String> lines = new TreeMap<>();
        admin.examineTopicStats(TOPIC).getOffsetTable().forEach((queue, offsets) -> lines.put("topic " + queue.getQueueId(),
            offsets.getMinOffset() + " to " + offsets.getMaxOffset()));
        admin.examineConsumeStats(GROUP, TOPIC).getOffsetTable().forEach((queue, offsets) -> lines.put("group " + queue.getTopic() + " " + queue.getQueueId(),
            offsets.getConsumerOffset() + " of " + offsets.getBrokerOffset()));
        for (String key : new String[] {"hb-7", "hb-38", "large-3", "batch-4", "all"}) {
            List<String> found = new ArrayList<>();
            for (MessageExt message : admin.queryMessage(TOPIC, key, 64, 0, Long.MAX_VALUE).getMessageList())
                found.add(message.getQueueId() + ":" + message.getQueueOffset() + " " + message.getMsgId());
            found.sort(null);
            lines.put("key " + key, found.toString());
        }
        lines.forEach((what, value) -> System.out.println("{\"what\":\"" + what + "\",\"value\":\"" + value + "\"}"));
    }

    static void send(String body) throws Exception {
        for (int i = 0; i < 4; i++) {
            SendResult sent = producer.send(new Message(TOPIC, "New", body + "-" + i, body.getBytes(StandardCharsets.UTF_8)), queue(i));
            System.out.println("{\"queue\":" + i + ",\"offset\":" + sent.getQueueOffset() + "}");
        }
    }
}
