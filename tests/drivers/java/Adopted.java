import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Reads every queue of some topics from beginning to end. Arguments: the name server, the topics. */
public class Adopted {
    public static void main(String[] arguments) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("GID_adopted_reader");
        consumer.setNamesrvAddr(arguments[0]);
        consumer.start();
        for (String topic : Arrays.copyOfRange(arguments, 1, arguments.length)) {
            for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(topic)) {
                long end = consumer.maxOffset(queue);
                for (long offset = consumer.minOffset(queue); offset < end; ) {
                    PullResult result = consumer.pull(queue, "*", offset, 32);
                    if (result.getMsgFoundList() != null) for (MessageExt message : result.getMsgFoundList()) print(message);
                    if (result.getNextBeginOffset() <= offset) throw new IllegalStateException(queue + " stands still at " + result);
                    offset = result.getNextBeginOffset();
                }
            }
        }
        System.out.println("{\"done\":true}");
        consumer.shutdown();
        System.exit(0);
    }

    static void print(MessageExt message) throws Exception {
        StringBuilder out = new StringBuilder("{\"topic\":").append(quoted(message.getTopic()))
            .append(",\"queueId\":").append(message.getQueueId()).append(",\"queueOffset\":").append(message.getQueueOffset())
            .append(",\"physicalOffset\":").append(message.getCommitLogOffset())
            .append(",\"offsetMsgId\":").append(quoted(MessageDecoder.createMessageId(message.getStoreHost(), message.getCommitLogOffset())))
            .append(",\"bornTimestamp\":").append(message.getBornTimestamp()).append(",\"storeTimestamp\":").append(message.getStoreTimestamp())
            .append(",\"reconsumeTimes\":").append(message.getReconsumeTimes()).append(",\"flag\":").append(message.getFlag())
            .append(",\"body\":").append(quoted(hex(MessageDigest.getInstance("SHA-256").digest(message.getBody()))))
            .append(",\"properties\":{");
        String comma = "";
        for (Map.Entry<String, String> property : message.getProperties().entrySet()) {
            out.append(comma).append(quoted(property.getKey())).append(':').append(quoted(property.getValue()));
            comma = ",";
        }
        System.out.write(out.append("}}\n").toString().getBytes(StandardCharsets.UTF_8));
    }

    static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (byte b : bytes) out.append(String.format("%02x", b));
        return out.toString();
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
