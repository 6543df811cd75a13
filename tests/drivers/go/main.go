// Every scenario of the Go client. Arguments: the name server, the prefix of the topics.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

var (
	nameServers primitive.NamesrvAddr
	prefix      string
	printing    sync.Mutex
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func say(line map[string]any) {
	text, err := json.Marshal(line)
	check(err)
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(text))
}

// Every tenth message is large enough to be compressed.
func body(key string, i int) string {
	if i%10 == 9 {
		return strings.Repeat("body of "+key+", ", 1000)
	}
	return "body of " + key
}

func message(scenario string, i int) *primitive.Message {
	key := fmt.Sprintf("%s-%d", scenario, i)
	colour := []string{"red", "green", "blue"}[i%3]
	m := primitive.NewMessage(prefix+"-"+scenario, []byte(body(key, i)))
	m.WithTag(colour).WithKeys([]string{key})
	m.WithProperty("n", strconv.Itoa(i))
	m.WithProperty("colour", colour)
	m.WithProperty("имя", fmt.Sprintf("雪 %d", i))
	return m
}

func sent(r *primitive.SendResult, key string) {
	say(map[string]any{"sent": key, "status": "SEND_OK", "queue": r.MessageQueue.QueueId, "offset": r.QueueOffset, "id": r.MsgID})
}

type scenario struct {
	name, by string
	want     int32
	seen     int32
	options  []consumer.Option
	selector consumer.MessageSelector
	running  rocketmq.PushConsumer
}

func (s *scenario) start() {
	options := append([]consumer.Option{
		consumer.WithNameServer(nameServers), consumer.WithGroupName(prefix + "-" + s.name),
		consumer.WithInstance(s.name + "-" + s.by), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, s.options...)
	c, err := rocketmq.NewPushConsumer(options...)
	check(err)
	check(c.Subscribe(prefix+"-"+s.name, s.selector, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		again := false
		for _, m := range messages {
			key := strings.TrimSpace(m.GetKeys())
			i, _ := strconv.Atoi(key[strings.LastIndex(key, "-")+1:])
			whole := string(m.Body) == body(key, i) && m.GetProperty("имя") == fmt.Sprintf("雪 %d", i)
			say(map[string]any{"consumed": key, "scenario": s.name, "by": s.by, "queue": m.Queue.QueueId,
				"offset": m.QueueOffset, "id": m.MsgId, "whole": whole, "times": m.ReconsumeTimes})
			atomic.AddInt32(&s.seen, 1)
			again = again || s.name == "retry" && m.ReconsumeTimes == 0
		}
		if again {
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	}))
	check(c.Start())
	s.running = c
}

func await(what string, seen *int32, want int32) {
	for end := time.Now().Add(90 * time.Second); atomic.LoadInt32(seen) < want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			fmt.Fprintf(os.Stderr, "%s: %d of %d\n", what, atomic.LoadInt32(seen), want)
			return
		}
	}
}

func send() {
	p, err := rocketmq.NewProducer(producer.WithNameServer(nameServers), producer.WithGroupName(prefix+"-producers"),
		producer.WithInstanceName("producer"), producer.WithRetry(2), producer.WithSendMsgTimeout(20*time.Second))
	check(err)
	check(p.Start())
	one := func(name string, i int) {
		m := message(name, i)
		r, err := p.SendSync(context.Background(), m)
		check(err)
		sent(r, m.GetKeys())
	}
	for i := 0; i < 100; i++ {
		one("plain", i)
	}
	var all sync.WaitGroup
	for i := 100; i < 200; i++ {
		m := message("plain", i)
		all.Add(1)
		check(p.SendAsync(context.Background(), func(_ context.Context, r *primitive.SendResult, err error) {
			defer all.Done()
			check(err)
			sent(r, m.GetKeys())
		}, m))
	}
	all.Wait()
	for i := 200; i < 300; i++ {
		check(p.SendOneWay(context.Background(), message("plain", i)))
	}
	var batch []*primitive.Message
	for i := 300; i < 320; i++ {
		batch = append(batch, message("plain", i))
	}
	_, err = p.SendSync(context.Background(), batch...)
	check(err)
	check(p.Shutdown())

	ordered, err := rocketmq.NewProducer(producer.WithNameServer(nameServers), producer.WithGroupName(prefix+"-ordered"),
		producer.WithInstanceName("ordered"), producer.WithQueueSelector(producer.NewHashQueueSelector()), producer.WithSendMsgTimeout(20*time.Second))
	check(err)
	check(ordered.Start())
	for i := 0; i < 120; i++ {
		m := message("order", i).WithShardingKey(fmt.Sprintf("shard-%d", i%4))
		r, err := ordered.SendSync(context.Background(), m)
		check(err)
		sent(r, m.GetKeys())
	}
	check(ordered.Shutdown())

	p, err = rocketmq.NewProducer(producer.WithNameServer(nameServers), producer.WithGroupName(prefix+"-others"),
		producer.WithInstanceName("others"), producer.WithSendMsgTimeout(20*time.Second))
	check(err)
	check(p.Start())
	for name, count := range map[string]int{"broadcast": 40, "tag": 60, "sql": 60, "retry": 3} {
		for i := 0; i < count; i++ {
			one(name, i)
		}
	}
	check(p.Shutdown())
}

func main() {
	rlog.SetLogLevel("error")
	nameServers, prefix = primitive.NamesrvAddr{os.Args[1]}, os.Args[2]
	every := consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}
	broadcasting := []consumer.Option{consumer.WithConsumerModel(consumer.BroadCasting)}
	scenarios := []*scenario{
		{name: "plain", by: "one", want: 320, selector: every},
		{name: "order", by: "one", want: 120, selector: every, options: []consumer.Option{consumer.WithConsumerOrder(true)}},
		{name: "broadcast", by: "one", want: 40, selector: every, options: broadcasting},
		{name: "broadcast", by: "two", want: 40, selector: every, options: broadcasting},
		{name: "tag", by: "one", want: 40, selector: consumer.MessageSelector{Type: consumer.TAG, Expression: "red || blue"}},
		{name: "sql", by: "one", want: 33, selector: consumer.MessageSelector{Type: consumer.SQL92, Expression: "n > 10 AND colour IN ('red', 'blue')"}},
		{name: "retry", by: "one", want: 6, selector: every},
	}
	for _, s := range scenarios {
		s.start()
	}
	send()
	for _, s := range scenarios {
		await(s.name, &s.seen, s.want)
	}
	for _, s := range scenarios {
		check(s.running.Shutdown())
	}
	say(map[string]any{"done": true})
}
