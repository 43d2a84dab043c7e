// Go's channels, doing the work of the benchmarks' rows.
//
// `channels CASE OPERATIONS` prints the nanoseconds an operation; what is timed has been done once before.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// A ball goes to and fro; a channel without a buffer is what Go's own programs take for this.
func pingPong(count int) {
	there, back := make(chan int), make(chan int)
	go func() {
		for ball := range there {
			back <- ball
		}
		close(back)
	}()
	sum := 0
	for n := 0; n < count; n++ {
		there <- n
		sum += <-back
	}
	close(there)
	<-back
	if sum != count*(count-1)/2 {
		panic("a ball is lost")
	}
}

func stream(count, bound int) {
	values := make(chan int, bound)
	go func() {
		for n := 0; n < count; n++ {
			values <- n
		}
		close(values)
	}()
	sum := 0
	for n := range values {
		sum += n
	}
	if sum != count*(count-1)/2 {
		panic("a value is lost")
	}
}

func main() {
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	cases := map[string]func(){
		"ping-pong":              func() { runtime.GOMAXPROCS(1); pingPong(count) },
		"ping-pong-threads":      func() { runtime.GOMAXPROCS(2); pingPong(count) },
		"stream-threads-bounded": func() { runtime.GOMAXPROCS(2); stream(count, 128) },
	}
	work := cases[os.Args[1]]
	work()
	start := time.Now()
	work()
	fmt.Println(float64(time.Since(start).Nanoseconds()) / float64(count))
}
