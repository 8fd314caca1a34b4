// A Kafka broker in memory, for tests: `kafka -port 9092 -topics otlp_spans,otlp_logs -partitions 4`.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

const version = "0.0.20260421" // of kfake, see go.mod

func main() {
	port := flag.Int("port", 0, "to listen on, on loopback")
	topics := flag.String("topics", "", "names, separated by commas")
	partitions := flag.Int("partitions", 4, "of each topic")
	tell := flag.Bool("version", false, "tell the version")
	flag.Parse()
	if *tell {
		fmt.Println("kafka", version)
		return
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(*port),
		kfake.SeedTopics(int32(*partitions), strings.Split(*topics, ",")...),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer cluster.Close()
	fmt.Println("ready", cluster.ListenAddrs())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}
