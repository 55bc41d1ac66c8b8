"""Notifications: channels and messages."""

from typing import Any

from backend.api import schemas as s
from backend.api.connection import Connection


class NotificationCalls(Connection):
    """Channels of notifications, and what became of their messages."""

    def notifications(self) -> s.NotificationsOut:
        """All channels, the newest messages, and what the operator's settings allow."""
        return self._get("/notifications", s.NotificationsOut)

    def create_channel(self, channel: s.ChannelPut, *, key: str | None = None) -> s.ChannelOut:
        """Make a channel; its address is never shown again."""
        return self._post("/notifications/channels", s.ChannelOut, _body(channel), key=key)

    def change_channel(self, channel_id: int, channel: s.ChannelPut) -> s.ChannelOut:
        """Give a channel other settings; without an address it keeps the one that it has."""
        reply = self._send("PUT", f"/notifications/channels/{channel_id}", json=_body(channel))
        return self._read(s.ChannelOut, reply)

    def delete_channel(self, channel_id: int) -> s.ChannelDeletion:
        """Delete a channel with its messages."""
        return self._read(s.ChannelDeletion, self._send("DELETE", f"/notifications/channels/{channel_id}"))

    def test_channel(self, channel_id: int) -> s.DeliveryOut:
        """Send a test, which is on its way then."""
        return self._post(f"/notifications/channels/{channel_id}/test", s.DeliveryOut, None)

    def deliveries(self, *, channel: int | None = None, cursor: str | None = None, limit: int = 50) -> s.DeliveryList:
        """Messages and where they are, newest first."""
        return self._get("/notifications/deliveries", s.DeliveryList, channel=channel, cursor=cursor, limit=limit)

    def send_again(self, delivery_id: int) -> s.DeliveryOut:
        """Send a message now that has not arrived."""
        return self._post(f"/notifications/deliveries/{delivery_id}/again", s.DeliveryOut, None)


def _body(channel: s.ChannelPut) -> dict[str, Any]:
    address = channel.address.get_secret_value() if channel.address is not None else None
    return channel.model_dump(mode="json") | {"address": address}
