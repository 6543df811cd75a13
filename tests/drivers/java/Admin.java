import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** Commands of mqadmin, one after another in one process. Arguments: the addresses of name server and broker. */
public class Admin {
    static final PrintStream OUT = System.out, ERRORS = System.err;
    static final int MESSAGES = 6;
    static String nameServer, broker;

    /** Thrown in place of an exit. */
    static class Exit extends SecurityException {
        final int status;
        Exit(int status) { this.status = status; }
    }

    @SuppressWarnings("removal")
    public static void main(String[] arguments) throws Exception {
        nameServer = arguments[0];
        broker = arguments[1];
        System.setProperty("rocketmq.namesrv.addr", nameServer);
        System.setSecurityManager(new SecurityManager() {
            @Override public void checkExit(int status) { throw new Exit(status); }
            @Override public void checkPermission(java.security.Permission permission) { }
        });
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setInstanceName("watching");
        admin.start();

        run("updateTopic", "-b", broker, "-t", "AdminTopic", "-r", "2", "-w", "2");
        await("the route", () -> admin.examineTopicRouteInfo("AdminTopic") != null);
        DefaultMQProducer producer = new DefaultMQProducer("PID_admin");
        producer.setInstanceName("PID_admin");
        producer.start();
        SendResult first = null;
        for (int i = 0; i < MESSAGES; i++) {
            Message message = new Message("AdminTopic", "TagA", "admin-" + i, ("for mqadmin " + i).getBytes(StandardCharsets.UTF_8));
            SendResult sent = producer.send(message, new MessageQueue("AdminTopic", "broker-a", i % 2));
            if (first == null) first = sent;
        }
        AtomicInteger seen = new AtomicInteger();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("GID_admin");
        consumer.setInstanceName("GID_admin");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPersistConsumerOffsetInterval(300);
        consumer.subscribe("AdminTopic", "TagA");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            seen.addAndGet(messages.size());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        await("the messages", () -> seen.get() == MESSAGES);
        await("their offsets", () -> read(admin) == MESSAGES);
        await("the retry topic", () -> admin.examineTopicRouteInfo("%RETRY%GID_admin") != null);

        run("clusterList");
        run("topicList");
        run("topicList", "-c");
        run("topicRoute", "-t", "AdminTopic");
        run("topicRoute", "-t", "NoSuchTopic");
        run("topicStatus", "-t", "AdminTopic");
        run("topicStatus", "-t", "NoSuchTopic");
        run("updateTopic", "-c", "DefaultCluster", "-t", "AdminOrderTopic", "-r", "2", "-w", "2", "-o", "true");
        run("updateTopic", "-b", broker, "-t", "AdminFifoTopic", "-r", "2", "-w", "2", "-a", "+message.type=FIFO");
        run("updateTopic", "-b", broker, "-t", "AdminFifoTopic", "-r", "2", "-w", "2", "-a", "+no.such=1");
        run("updateTopic", "-b", broker, "-t", "SCHEDULE_TOPIC_XXXX", "-r", "2", "-w", "2");
        run("updateTopic", "-b", broker, "-t", "bad topic!", "-r", "2", "-w", "2");
        run("updateTopic", "-t", "AdminTopic");
        run("topicRoute", "-t", "AdminOrderTopic");
        run("updateSubGroup", "-b", broker, "-g", "GID_admin_new", "-s", "true", "-m", "false", "-d", "false", "-q", "2", "-r", "5");
        run("updateSubGroup", "-c", "DefaultCluster", "-g", "GID_admin_cluster");
        run("updateSubGroup", "-b", broker, "-g", "bad group!");
        run("consumerProgress");
        run("consumerProgress", "-g", "GID_admin");
        run("consumerProgress", "-g", "GID_admin", "-s", "true");
        run("consumerProgress", "-g", "GID_admin", "-t", "AdminTopic");
        run("consumerProgress", "-g", "GID_nobody");
        run("consumerConnection", "-g", "GID_admin");
        run("consumerConnection", "-g", "GID_nobody");
        run("brokerStatus", "-b", broker);
        run("brokerStatus", "-c", "DefaultCluster");
        run("queryMsgById", "-t", "AdminTopic", "-i", first.getOffsetMsgId());
        run("queryMsgById", "-t", "AdminTopic", "-i", first.getOffsetMsgId().substring(0, 24) + "00000000FFFF");
        run("queryMsgByKey", "-t", "AdminTopic", "-k", "admin-3");
        run("queryMsgByKey", "-t", "AdminTopic", "-k", "no-such-key");
        run("queryMsgByUniqueKey", "-t", "AdminTopic", "-i", first.getMsgId());
        run("queryMsgByUniqueKey", "-t", "AdminTopic", "-i", first.getMsgId().substring(0, 28) + "0FFF");
        run("resetOffsetByTime", "-g", "GID_admin", "-t", "AdminTopic", "-s", "0");
        await("the messages again", () -> seen.get() == 2 * MESSAGES);
        await("their offsets again", () -> read(admin) == MESSAGES);
        consumer.shutdown();
        await("the consumer's end", () -> offline(admin));
        run("consumerConnection", "-g", "GID_admin");
        run("resetOffsetByTime", "-g", "GID_admin", "-t", "AdminTopic", "-s", "0");
        run("consumerProgress", "-g", "GID_admin");
        run("resetOffsetByTime", "-g", "GID_admin", "-t", "AdminTopic", "-s", "-1");
        run("consumerProgress", "-g", "GID_admin");
        run("resetOffsetByTime", "-g", "GID_nobody", "-t", "AdminTopic", "-s", "0");
        run("resetOffsetByTime", "-g", "GID_admin", "-t", "NoSuchTopic", "-s", "0");
        run("deleteTopic", "-c", "DefaultCluster", "-t", "AdminOrderTopic");
        await("no route", () -> !routed(admin, "AdminOrderTopic"));
        run("topicRoute", "-t", "AdminOrderTopic");
        run("deleteTopic", "-c", "DefaultCluster", "-t", "TBW102");
        run("noSuchCommand", "-x", "y");
        producer.shutdown();
        admin.shutdown();
        OUT.println("{\"done\":true}");
        OUT.flush();
        System.setSecurityManager(null);
        Runtime.getRuntime().halt(0);
    }

    static void run(String... command) throws Exception {
        forgetCommands();
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(printed, true, StandardCharsets.UTF_8);
        System.setOut(both);
        System.setErr(both);
        int status = 0;
        try {
            MQAdminStartup.main0(command, null);
        } catch (Exit exit) {
            status = exit.status;
        } finally {
            System.setOut(OUT);
            System.setErr(ERRORS);
        }
        OUT.println("{\"command\":" + quoted(String.join(" ", command)) + ",\"status\":" + status
            + ",\"printed\":" + quoted(printed.toString(StandardCharsets.UTF_8)) + "}");
        OUT.flush();
    }

    /** Every run of the tool fills its table of commands anew. */
    static void forgetCommands() throws Exception {
        for (Field field : MQAdminStartup.class.getDeclaredFields()) {
            if (field.getName().startsWith("SUB_COMMAND")) {
                field.setAccessible(true);
                Object commands = field.get(null);
                if (commands instanceof Map) ((Map<?, ?>) commands).clear();
                if (commands instanceof Collection) ((Collection<?>) commands).clear();
            }
        }
    }

    static long read(DefaultMQAdminExt admin) throws Exception {
        return admin.examineConsumeStats("GID_admin", "AdminTopic").getOffsetTable().values().stream().mapToLong(o -> o.getConsumerOffset()).sum();
    }

    static boolean offline(DefaultMQAdminExt admin) {
        try {
            admin.examineConsumerConnectionInfo("GID_admin");
            return false;
        } catch (Exception gone) {
            return true;
        }
    }

    static boolean routed(DefaultMQAdminExt admin, String topic) {
        try {
            return admin.examineTopicRouteInfo(topic) != null;
        } catch (Exception none) {
            return false;
        }
    }

    static void await(String what, Callable<Boolean> condition) throws Exception {
        long end = System.currentTimeMillis() + 60_000;
        while (true) {
            try {
                if (condition.call()) return;
            } catch (Exception notYet) {
                if (System.currentTimeMillis() > end) throw notYet;
            }
            if (System.currentTimeMillis() > end) throw new IllegalStateException(what + " did not come");
            Thread.sleep(20);
        }
    }

    static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }
}
