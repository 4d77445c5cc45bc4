// web answers every request with the name of its pod. After SIGTERM it goes on serving for a while, as a well-behaved
// server does: the proxies of other nodes learn a moment later that the pod is going away.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const lameDuck = 4 * time.Second

func main() {
	name, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(answer, name)
	})
	server := &http.Server{Addr: ":8080"}

	ended := make(chan struct{})
	go func() {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
		<-asked
		// No new keep-alive requests, so that clients reconnect elsewhere.
		server.SetKeepAlivesEnabled(false)
		time.Sleep(lameDuck)
		finish, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Shutdown(finish)
		close(ended)
	}()

	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-ended
}
