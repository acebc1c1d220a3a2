"""The Celery application: names, queue and settings, each setting with its reason. Loads no engine and no torch."""

from __future__ import annotations

from celery import Celery
from kombu import Exchange, Queue

#: One queue: any worker does any kind of work; what is most urgent is decided in the ledger.
QUEUE = "densify"

TASK_NAMES = {
    "ingest": "densify.ingest",
    "chunk": "densify.chunk",
    "finalise": "densify.finalise",
}


def make_celery(broker_url: str) -> Celery:
    """A configured application without tasks; workers/process.py adds them."""
    app = Celery("densify", broker=broker_url, set_as_current=False)
    app.conf.update(
        # The nameless exchange routes by queue name and keeps no binding table in Redis: a FLUSHALL that wipes
        # kombu's tables cannot make later messages unroutable.
        task_queues=[Queue(QUEUE, Exchange(""), routing_key=QUEUE)],
        task_default_queue=QUEUE,
        task_default_exchange="",
        task_default_routing_key=QUEUE,
        # Acknowledged after the work: a message whose worker died comes back by itself. The ledger's lease makes
        # the second delivery harmless, and the sweeper does not need it.
        task_acks_late=True,
        # A worker that dies with a task in hand: the message goes back too. It cannot loop for ever, since
        # attempts are counted in the ledger before the work starts and a chunk is halved after three.
        task_reject_on_worker_lost=True,
        # A message is one chunk, minutes of work: holding further ones back would starve idle workers.
        worker_prefetch_multiplier=1,
        # Results live in the ledger; nobody reads Celery's.
        task_ignore_result=True,
        result_backend=None,
        # Messages carry one id: JSON, never pickle.
        task_serializer="json",
        accept_content=["json"],
        # Longer than any chunk: a redelivery while the first worker still runs would only be refused by the lease.
        broker_transport_options={
            "visibility_timeout": 6 * 3600,
            "socket_connect_timeout": 2,
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 15,
        },
        # Wait for a Redis that starts later, and for one that comes back, as long as it takes.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # After a lost connection the tasks go on: their leases are in the ledger, not in Redis.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # The service logs for itself.
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # Nobody watches Celery's own events; the ledger's progress says more.
        worker_send_task_events=False,
        task_send_sent_event=False,
        # No remote control: whoever reaches Redis must not be able to command workers.
        worker_enable_remote_control=False,
    )
    return app
