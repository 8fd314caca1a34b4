"""A freqtrade strategy that buys whenever it may and leaves after a moment: many orders, no opinion."""

# freqtrade is no dependency of this project: this file runs in freqtrade's own environment.
# pyright: basic, reportMissingImports=false
from typing import ClassVar

from freqtrade.strategy import IStrategy

HOLDING_S = 1.0


class Busy(IStrategy):
    """In on each loop, out a second later."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi: ClassVar = {"0": 10}
    stoploss = -0.5
    startup_candle_count = 1
    process_only_new_candles = False

    def bot_loop_start(self, current_time, **kwargs):
        """Freqtrade locks a pair until the candle's end once it was sold."""
        for pair in self.dp.current_whitelist():
            self.unlock_pair(pair)

    def populate_indicators(self, dataframe, metadata):
        """None."""
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        """Always."""
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        """Not by candles."""
        return dataframe

    def custom_exit(self, pair, trade, current_time, current_rate, current_profit, **kwargs):
        """After a moment."""
        held_s = (current_time - trade.open_date_utc).total_seconds()
        return "enough" if held_s > HOLDING_S else None
