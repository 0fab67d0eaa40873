VALUE = "it took a while"
